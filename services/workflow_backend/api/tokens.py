"""Bearer tokens: whose each is, from a file that is read anew whenever it changes.

A name is a client's, or a client's and behind a dot a word for one of its tokens: `web-shop` and
`web-shop.2` are two tokens of one client. A token is 256 random bits, so one round of SHA-256 is
all the protection that its hash needs.
"""

import hashlib
import hmac
import logging
import secrets
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingError, TokensUnavailable
from . import token_file
from .token_file import Entry

log = logging.getLogger(__name__)

PREFIX = "xwb_"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: the client's name and what the token may do that it shows."""

    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Tell whether it has a scope; admin has all."""
        return scope in self.scopes or self.sees_all

    @property
    def sees_all(self) -> bool:
        """Whether it sees every item, and not only those that were submitted with it."""
        return "admin" in self.scopes


EVERYBODY = Principal("", frozenset({"admin"}))
"""Who asks where no tokens are used."""


class Tokens:
    """The tokens of one API process; raises SettingError where they can't be read at its start.

    While they can't be read later on, nobody has one: a file that is broken must not keep alive
    what was taken back with it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._by_hash: dict[str, Principal] = {}
        self._broken = ""
        self._load()

    def principal(self, token: str) -> Principal | None:
        """Return whose token it is, or None; raises TokensUnavailable."""
        self.require()
        digest = hashlib.sha256(token.encode()).hexdigest()
        found = None
        for known, principal in self._by_hash.items():
            if hmac.compare_digest(known, digest):
                found = principal
        return found

    def require(self) -> None:
        """Take in the file where it changed; raises TokensUnavailable where it can't be read.

        The log has the reason, once until it is another one or over.
        """
        try:
            self._load()
        except SettingError as error:
            self._tell(error.explain())
            raise TokensUnavailable from error
        self._tell("")

    def _tell(self, broken: str) -> None:
        if broken == self._broken:
            return
        self._broken = broken
        if broken:
            log.error("nobody who needs a token is let in: %s", broken)
        else:
            log.info("%s can be read again", self._path)

    def _load(self) -> None:
        try:
            status = self._path.stat()
        except OSError as error:
            self._seen = None
            raise SettingError(f"{self._path} can't be read: {error.strerror}") from error
        seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        if seen != self._seen:
            self._seen = None
            self._by_hash = {
                entry.sha256: Principal(name.partition(".")[0], frozenset(entry.scopes))
                for name, entry in token_file.load(self._path).items()
            }
            self._seen = seen


def add(path: Path, name: str, scopes: list[str]) -> str:
    """Add a token, or replace the one of that name, and return it: it is shown this once."""
    token_file.check_name(name)
    token = PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    with token_file.changing(path) as entries:
        entries[name] = Entry(sorted(set(scopes)), digest)
    return token


def remove(path: Path, name: str) -> None:
    """Remove a token; raises SettingError where there is none of that name."""
    with token_file.changing(path) as entries:
        if entries.pop(name, None) is None:
            raise SettingError(f"{path} has no token {name!r}")


def listed(path: Path) -> dict[str, list[str]]:
    """Return the scopes of each token by its name."""
    return {name: list(entry.scopes) for name, entry in token_file.load(path).items()}
