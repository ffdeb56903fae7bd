"""Bearer tokens: a file of names, scopes and hashes, read anew whenever it changes.

A name is a client's, or a client's and behind a dot a word for one of its tokens: `web-shop` and
`web-shop.2` are two tokens of one client. A token is 256 random bits, so one round of SHA-256 is
all the protection that its hash needs.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import SettingError

SCOPES = ("read", "submit", "cancel", "admin")
"""read sees, submit and cancel (and retry) write, admin does all of it for every item."""

PREFIX = "xwb_"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64})?")


@dataclass(frozen=True, slots=True)
class _Entry:
    scopes: list[str]
    sha256: str

    def __post_init__(self) -> None:
        if not set(self.scopes) <= set(SCOPES) or len(bytes.fromhex(self.sha256)) != 32:
            raise ValueError("an entry has scopes of " + ", ".join(SCOPES) + " and a SHA-256")


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
    """The token file of one API process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._by_hash: dict[str, Principal] = {}
        self.principal("")  # a file that can't be read is told at start, not at the first request

    def principal(self, token: str) -> Principal | None:
        """Return whose token it is, or None; raises SettingError where the file can't be read."""
        self._refresh()
        digest = hashlib.sha256(token.encode()).hexdigest()
        found = None
        for known, principal in self._by_hash.items():
            if hmac.compare_digest(known, digest):
                found = principal
        return found

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except OSError as error:
            raise SettingError(f"{self._path} can't be read: {error.strerror}") from error
        seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        if seen != self._seen:
            self._by_hash = {
                entry.sha256: Principal(name.partition(".")[0], frozenset(entry.scopes))
                for name, entry in _load(self._path).items()
            }
            self._seen = seen


def add(path: Path, name: str, scopes: list[str]) -> str:
    """Add a token, or replace the one of that name, and return it: it is shown this once."""
    if not _NAME.fullmatch(name):
        raise SettingError(
            f"{name!r} is no token's name: wanted a client's of 1 to 64 of the characters "
            "A-Z a-z 0-9 _ -, and where it has several tokens a dot and as many for the token"
        )
    token = PREFIX + secrets.token_urlsafe(32)
    entries = _load(path) if path.exists() else {}
    digest = hashlib.sha256(token.encode()).hexdigest()
    entries[name] = _Entry(sorted(set(scopes)), digest)
    _save(path, entries)
    return token


def remove(path: Path, name: str) -> None:
    """Remove a token; raises SettingError where there is none of that name."""
    entries = _load(path)
    if entries.pop(name, None) is None:
        raise SettingError(f"{path} has no token {name!r}")
    _save(path, entries)


def listed(path: Path) -> dict[str, list[str]]:
    """Return the scopes of each token by its name."""
    return {name: list(entry.scopes) for name, entry in _load(path).items()}


def _load(path: Path) -> dict[str, _Entry]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["tokens"]
        return {name: _Entry(**entry) for name, entry in entries.items()}
    except OSError as error:
        raise SettingError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingError(
            f"{path} is no token file: {error}", hint="make it with workflow-backend tokens add"
        ) from error


def _save(path: Path, entries: dict[str, _Entry]) -> None:
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(
            {"tokens": {name: asdict(entry) for name, entry in entries.items()}}, file, indent=2
        )
    temporary.replace(path)
