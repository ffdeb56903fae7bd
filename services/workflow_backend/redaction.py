"""Secrets taken out of texts that leave: for the chain, the log, an error, a client.

What a library or a program of others says may quote an address with its password, a header or a
setting. A reason on the chain can never be taken back.
"""

import re

_HIDDEN = "***"
_URL = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]{0,20}://)(?P<account>[^\s/?#@\"'<>]*@)?"
    r"(?P<place>[^\s?#\"'<>]*)(?P<query>\?[^\s#\"'<>]*)?(?P<fragment>#[^\s\"'<>]*)?",
    re.IGNORECASE,
)
_NAME = (
    r"[\w-]{0,40}(?:password|passwd|passphrase|secret|token|credentials?|signature"
    r"|api[_-]?key|access[_-]?key|private[_-]?key|authorization)"
)
_VALUE = r"(?:\"[^\"]*\"|'[^']*'|(?:bearer|basic)\s+[^\s,;&)\]}\"']+|[^\s,;&)\]}\"']+)"
# name=value, "name": value, and a header, which has no quotes.
_SETTING = re.compile(
    rf"(?P<name>\b{_NAME}\s*=\s*|[\"']{_NAME}[\"']\s*[:=]\s*|\b[\w-]{{0,40}}authorization:\s*)"
    rf"{_VALUE}",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(bearer\s+)[\w.~+/-]{8,}=*", re.IGNORECASE)


def redact(text: str) -> str:
    """Return the text without the accounts and queries of addresses, passwords, tokens and keys."""
    text = _URL.sub(_without_secrets, text)
    text = _SETTING.sub(rf"\g<name>{_HIDDEN}", text)
    return _BEARER.sub(rf"\g<1>{_HIDDEN}", text)


def _without_secrets(url: re.Match[str]) -> str:
    account = f"{_HIDDEN}@" if url["account"] else ""
    query = f"?{_HIDDEN}" if url["query"] else ""
    fragment = f"#{_HIDDEN}" if url["fragment"] else ""
    return f"{url['scheme']}{account}{url['place']}{query}{fragment}"
