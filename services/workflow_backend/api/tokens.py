"""Bearer tokens and their principals, from a file that is reloaded whenever it changes.

A token's name is its client's, optionally with a dot and a suffix: `web-shop` and `web-shop.2` are
two tokens of one client. A token is 256 random bits, so one round of SHA-256 protects it enough.
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
    """A client's name and the scopes of the token that it uses."""

    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Tell whether it has a scope; `admin` includes all."""
        return scope in self.scopes or self.sees_all

    @property
    def sees_all(self) -> bool:
        """Whether it sees every item and not only its own."""
        return "admin" in self.scopes


EVERYBODY = Principal("", frozenset({"admin"}))
"""The principal of every request to an API without tokens."""


class Tokens:
    """The tokens of one API process; raises SettingError if they can't be read at its start.

    If they can't be read later, no token is valid: a broken file must not keep a removed token
    alive.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loaded_state: tuple[int, int, int] | None = None
        self._by_hash: dict[str, Principal] = {}
        self._error = ""
        self._load()

    def principal(self, token: str) -> Principal | None:
        """Return a token's principal, None if it is not valid; raises TokensUnavailable."""
        self.reload()
        digest = hashlib.sha256(token.encode()).hexdigest()
        match = None
        for stored, principal in self._by_hash.items():
            if hmac.compare_digest(stored, digest):
                match = principal
        return match

    def reload(self) -> None:
        """Load the file if it changed; raises TokensUnavailable if it can't be read.

        The reason is logged once, until it changes or is gone.
        """
        try:
            self._load()
        except SettingError as error:
            self._log_error(error.explain())
            raise TokensUnavailable from error
        self._log_error("")

    def _log_error(self, reason: str) -> None:
        if reason == self._error:
            return
        self._error = reason
        if reason:
            log.error("no token is valid: %s", reason)
        else:
            log.info("%s can be read again", self._path)

    def _load(self) -> None:
        try:
            status = self._path.stat()
        except OSError as error:
            self._loaded_state = None
            raise SettingError(f"{self._path} can't be read: {error.strerror}") from error
        state = (status.st_mtime_ns, status.st_ino, status.st_size)
        if state != self._loaded_state:
            self._loaded_state = None
            self._by_hash = {
                entry.sha256: Principal(name.partition(".")[0], frozenset(entry.scopes))
                for name, entry in token_file.load(self._path).items()
            }
            self._loaded_state = state


def add(path: Path, name: str, scopes: list[str]) -> str:
    """Add a token, or replace the one of this name, and return it; only its hash is kept."""
    token_file.check_name(name)
    token = PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    with token_file.changing(path) as entries:
        entries[name] = Entry(sorted(set(scopes)), digest)
    return token


def remove(path: Path, name: str) -> None:
    """Remove a token; raises SettingError if there is none of this name."""
    with token_file.changing(path) as entries:
        if entries.pop(name, None) is None:
            raise SettingError(f"{path} has no token {name!r}")


def list_scopes(path: Path) -> dict[str, list[str]]:
    """Return the scopes of each token by its name."""
    return {name: list(entry.scopes) for name, entry in token_file.load(path).items()}
