"""Secrets taken out of texts that leave: for the chain, the log, an error, a client.

What a library or a program of others says may quote an address with its password, a header or a
setting. A reason on the chain can never be taken back.
"""

import re

_HIDDEN = "***"
# An account ends at the last @: a password that was not encoded may hold one, or a slash. What
# stands between the first colon and a slash is a port where it is digits.
_ACCOUNT = r"[^\s/?#:@\"'<>]*:(?!\d{1,5}/)[^\s\"'<>]*@|[^\s/?#\"'<>]*@"
_URL = re.compile(
    rf"(?P<scheme>\b[a-z][a-z0-9+.-]{{0,20}}://)(?P<account>{_ACCOUNT})?"
    r"(?P<place>[^\s?#\"'<>]*)(?P<query>\?[^\s#\"'<>]*)?(?P<fragment>#[^\s\"'<>]*)?",
    re.IGNORECASE,
)
# The end of a name is all that is looked for: whatever may stand before it would be tried anew at
# every character of a text that others chose.
_NAME = (
    r"(?:password|passwd|pwd|passphrase|secret|token|credentials?|signature"
    r"|api[_-]?key|access[_-]?key|private[_-]?key|authorization)"
)
# In quotes, those of JSON in JSON too; else up to where a list goes on.
_VALUE = (
    r"(?:\\+\".*?\\+\"|\"(?:\\.|[^\"\\])*+\"|'(?:\\.|[^'\\])*+'"
    r"|(?:bearer|basic)\s+[^\s,;&)\]}\"']+|[^\s,;&)\]}\"']+)"
)
# name=value, "name": value, and a header, which has no quotes.
_SETTING = re.compile(
    rf"(?P<name>{_NAME}\s*=\s*|{_NAME}\\*[\"']\s*[:=]\s*|authorization:\s*"
    rf"|-(?:api-?key|key|token|secret):\s*){_VALUE}",
    re.IGNORECASE | re.DOTALL,
)
_COOKIE = re.compile(r"\b((?:set-)?cookie:\s*)[^\r\n\"']+", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer\s+)[\w.~+/-]{8,}=*", re.IGNORECASE)
_OUR_TOKEN = re.compile(r"xwb_[\w-]{16,}")
_KEY = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END|\Z)", re.DOTALL)


def redact(text: str) -> str:
    """Return the text without the accounts and queries of addresses, passwords, tokens and keys."""
    text = _URL.sub(_without_secrets, text)
    text = _SETTING.sub(rf"\g<name>{_HIDDEN}", text)
    for pattern in (_COOKIE, _BEARER, _KEY):
        text = pattern.sub(rf"\g<1>{_HIDDEN}", text)
    return _OUR_TOKEN.sub(_HIDDEN, text)


def _without_secrets(url: re.Match[str]) -> str:
    account = f"{_HIDDEN}@" if url["account"] else ""
    query = f"?{_HIDDEN}" if url["query"] else ""
    fragment = f"#{_HIDDEN}" if url["fragment"] else ""
    return f"{url['scheme']}{account}{url['place']}{query}{fragment}"
