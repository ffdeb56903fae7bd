"""The token file: names, scopes and hashes as JSON, changed by one program at a time."""

import contextlib
import fcntl
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import SettingError

SCOPES = ("read", "submit", "cancel", "admin")
"""`cancel` includes retrying; `admin` includes every scope, for every item."""

MAX_BYTES = 4 * 1024 * 1024
LOCK_SECONDS = 10.0
LOCK_POLL_SECONDS = 0.02
_HINT = "restore it, or make a new one with workflow-backend tokens add"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64})?")


@dataclass(frozen=True, slots=True)
class Entry:
    """A token's scopes and hash."""

    scopes: list[str]
    sha256: str

    def __post_init__(self) -> None:
        digest = bytes.fromhex(self.sha256)
        if not set(self.scopes) <= set(SCOPES) or len(digest) != 32:
            raise ValueError("an entry has scopes of " + ", ".join(SCOPES) + " and a SHA-256")
        object.__setattr__(self, "sha256", digest.hex())  # some programs write the digits A-F


def load(path: Path) -> dict[str, Entry]:
    """Return the entries by token name; raises SettingError naming what is wrong."""
    with _readable(path):
        # O_NONBLOCK: whoever may write the folder could leave a pipe or a device there.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return _parse(path, file.fileno())


def check_name(name: str) -> None:
    """Raise SettingError if this is not a valid token name."""
    if not _NAME.fullmatch(name):
        raise SettingError(
            f"{name!r} is not a token's name: give a client's name of 1 to 64 of the characters "
            "A-Z a-z 0-9 _ -, and for a further token a dot and as many again"
        )


def require(name: str, entry: Any) -> None:
    """Raise SettingError, without the hash in it, if a token's name or entry is not valid."""
    check_name(name)
    try:
        Entry(**entry)
    except TypeError, ValueError:
        scopes = ", ".join(SCOPES)
        raise SettingError(f"{name} needs scopes, a list of {scopes}, and a sha256") from None


@contextlib.contextmanager
def changing(path: Path) -> Iterator[dict[str, Entry]]:
    """Yield the entries for the block to change; they are written if it ends without an error.

    Other writers wait meanwhile; readers see the old file or the new one. The file keeps its owner
    and mode. A new one gets its folder's owner, so that root makes it for the account that reads
    it.
    """
    with _readable(path):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        lock = _lock(path, folder)
        try:
            entries, owner = _read_current(path, folder)
            yield entries
            _replace(folder, path.name, entries, owner)
        finally:
            os.close(lock)
    finally:
        os.close(folder)


def _lock(path: Path, folder: int) -> int:
    """Wait for the lock and return its descriptor.

    The lock is a file of its own, because the token file is replaced by each change. Nobody else
    may open it: whoever may open a lock may hold it, and keep a token from being removed.
    """
    with _readable(path.with_name(_lock_name(path))):
        lock = _lock_file(_lock_name(path), folder)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                raise SettingError(
                    f"{path} has been locked by another program for {LOCK_SECONDS:g} s",
                    hint=f"find that program: fuser {path.with_name(_lock_name(path))}",
                ) from None
            time.sleep(LOCK_POLL_SECONDS)
        else:
            return lock


def _lock_file(name: str, folder: int) -> int:
    flags = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        lock = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    except FileExistsError:
        return os.open(name, flags, dir_fd=folder)
    if os.geteuid() == 0:
        owner = os.fstat(folder)
        os.fchown(lock, owner.st_uid, owner.st_gid)
    return lock


def _lock_name(path: Path) -> str:
    return f".{path.name}.lock"


def _read_current(path: Path, folder: int) -> tuple[dict[str, Entry], os.stat_result]:
    """Return the entries and the file's status; without a file, none and the folder's status."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    with _readable(path, hint="name the file itself, no link to it"):
        try:
            descriptor = os.open(path.name, flags, dir_fd=folder)
        except FileNotFoundError:
            return {}, os.fstat(folder)
    with os.fdopen(descriptor, "rb") as file:
        return _parse(path, file.fileno()), os.fstat(file.fileno())


def _replace(folder: int, name: str, entries: dict[str, Entry], owner: os.stat_result) -> None:
    kept = {name: asdict(entry) for name, entry in entries.items()}
    temporary = f"{name}.new"
    with contextlib.suppress(FileNotFoundError):  # left behind by a program that was killed
        os.unlink(temporary, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        if stat.S_ISREG(owner.st_mode):
            os.fchmod(descriptor, stat.S_IMODE(owner.st_mode))
        json.dump({"tokens": kept}, file, indent=2)
        file.flush()
        os.fsync(descriptor)
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def _parse(path: Path, descriptor: int) -> dict[str, Entry]:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise SettingError(f"{path} is not a regular file", hint=_HINT)
    if status.st_size > MAX_BYTES:
        raise SettingError(f"{path} has more than {MAX_BYTES} bytes", hint=_HINT)
    try:
        entries = json.loads(os.read(descriptor, MAX_BYTES))["tokens"]
        return {name: Entry(**entry) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SettingError(f"{path} is not a token file: {error}", hint=_HINT) from error


@contextlib.contextmanager
def _readable(path: Path, hint: str = "") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingError(f"{path} can't be read: {error.strerror}", hint=hint) from error
