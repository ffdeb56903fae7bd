"""Redaction of secrets in texts that leave the process: to the chain, a log, an error, a client.

A message of a library or another program may quote a URL with its password, a header or a setting.
A reason that is written to the chain can never be removed.
"""

import re

_HIDDEN = "***"
# The user info of a URL ends at the last @: a password that is not percent-encoded may contain one,
# or a slash. Digits between the first colon and a slash are a port.
_ACCOUNT = r"[^\s/?#:@\"'<>]*:(?!\d{1,5}/)[^\s\"'<>]*@|[^\s/?#\"'<>]*@"
_URL = re.compile(
    rf"(?P<scheme>\b[a-z][a-z0-9+.-]{{0,20}}://)(?P<account>{_ACCOUNT})?"
    r"(?P<path>[^\s?#\"'<>]*)(?P<query>\?[^\s#\"'<>]*)?(?P<fragment>#[^\s\"'<>]*)?",
    re.IGNORECASE,
)
# Only the end of a name is matched: a pattern for what may precede it would be tried again at every
# character of a text that an attacker may choose.
_NAME = (
    r"(?:password|passwd|pwd|passphrase|secret|token|seed|mnemonic|credentials?|signature"
    r"|api[_-]?key|access[_-]?key|private[_-]?key|authorization)"
)
# Quoted, with the escaped quotes of JSON inside JSON; otherwise up to the next separator.
_VALUE = (
    r"(?:\\+\".*?\\+\"|\"(?:\\.|[^\"\\])*+\"|'(?:\\.|[^'\\])*+'"
    r"|(?:bearer|basic)\s+[^\s,;&)\]}\"']+|[^\s,;&)\]}\"']+)"
)
# name=value, "name": value, and a header such as X-Api-Key.
_SETTING = re.compile(
    rf"(?P<name>{_NAME}\s*=\s*|{_NAME}\\*[\"']\s*[:=]\s*|authorization:\s*"
    rf"|-(?:api-?key|key|token|secret):\s*){_VALUE}",
    re.IGNORECASE | re.DOTALL,
)
# name: value, as in YAML. In a sentence, more than one word follows a colon: that is left alone.
_END = r"(?=[ \t]*(?:[,;)\]}\r\n]|\Z|[\w-]{1,64}[:=]))"
_FIELD = re.compile(
    rf"(?P<name>{_NAME}:[ \t]{{1,8}})[^\s,;&)\]}}\"']++{_END}",
    re.IGNORECASE,
)
_OPTION = re.compile(
    rf"(?P<name>--(?:[a-z0-9]{{1,20}}[_-]){{0,3}}{_NAME}[ \t]+)(?!-){_VALUE}",
    re.IGNORECASE | re.DOTALL,
)
_PHRASE = re.compile(
    r"(?P<name>(?:mnemonic|(?:seed|recovery)[ _-]phrase)\s{0,8}[:=]\s{0,8})[^\r\n\"']+",
    re.IGNORECASE,
)
_COOKIE = re.compile(r"\b((?:set-)?cookie:\s*)[^\r\n\"']+", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer\s+)[\w.~+/-]{8,}=*", re.IGNORECASE)
_OUR_TOKEN = re.compile(r"xwb_[\w-]{16,}")
_KEY = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END|\Z)", re.DOTALL)


def redact(text: str) -> str:
    """Return the text without user info and queries of URLs, passwords, tokens, seeds and keys."""
    text = _URL.sub(_redact_url, text)
    for pattern in (_PHRASE, _SETTING, _FIELD, _OPTION):
        text = pattern.sub(rf"\g<name>{_HIDDEN}", text)
    for pattern in (_COOKIE, _BEARER, _KEY):
        text = pattern.sub(rf"\g<1>{_HIDDEN}", text)
    return _OUR_TOKEN.sub(_HIDDEN, text)


def _redact_url(url: re.Match[str]) -> str:
    account = f"{_HIDDEN}@" if url["account"] else ""
    query = f"?{_HIDDEN}" if url["query"] else ""
    fragment = f"#{_HIDDEN}" if url["fragment"] else ""
    return f"{url['scheme']}{account}{url['path']}{query}{fragment}"
