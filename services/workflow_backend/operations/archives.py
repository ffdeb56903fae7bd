"""Archives of others, looked through as a whole before anything is unpacked.

Whatever an archive holds, looking through it takes bounded memory and time: the bytes of a header,
the members, their names, what they unpack to and what is behind the last of them have each a limit.
"""

import gzip
import io
import tarfile
import time
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import RecoveryRefused

MEMBERS = 1 << 18
"""Members at most: a home with half a terabyte of blocks has as many files."""

_NAME = 4096
"""Characters of a name at most, as in a path of Linux."""

_NAMES = 64 << 20
"""Characters of all names together."""

_HEADER = 16 << 10
"""Bytes of a member's headers at most. Longest names take half of it; Python reads one at once."""

_BEHIND = 1 << 20
"""Bytes behind the last member: tar fills up its last record, of 10 KiB by default."""

_SECONDS = 3600.0

_CHUNK = 1 << 20
_DAMAGED = (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, ValueError, RecursionError)
_WHERE = "use another one, or make a new one on a healthy host"


def inspect(
    archive: Path, *, most_bytes: int, names: Collection[str] = (), limit: int = 1 << 20
) -> dict[str, bytes]:
    """Read a .tar.gz to its end; return the first `limit` bytes of each of the `names` files.

    Raises RecoveryRefused where it is truncated or damaged, where it would be larger than
    `most_bytes`, where it takes more memory or time than an honest one, and where a member is not a
    plain file or folder below the place that it would be unpacked to.
    """
    found: dict[str, bytes] = {}
    bounds = _Bounds(archive, most_bytes)
    try:
        with gzip.open(archive) as unpacked:
            stream = _Forward(unpacked, time.monotonic() + _SECONDS)
            for tar, member in _members(stream):
                bounds.add(member)
                if member.name in names:
                    stream.allowed = member.size
                    file = tar.extractfile(member)
                    found[member.name] = file.read(limit) if file else b""
            # The archive's own end is not the file's: what is behind it has the check sum.
            stream.allowed = _BEHIND
            while stream.read(_HEADER):
                pass
    except _TooMuch as error:
        raise RecoveryRefused(f"{archive} {error}", hint=_WHERE) from None
    except _DAMAGED as error:
        raise RecoveryRefused(
            f"{archive} is truncated or damaged: {error}", hint=f"copy it again; {_WHERE}"
        ) from error
    return found


class _TooMuch(Exception):
    """What an archive has too much of."""


class _Forward(io.RawIOBase):
    """The unpacked bytes of an archive, for tarfile: it reads headers and seeks over files.

    So reads are bounded, to what is `allowed` now, and seeks only go forward.
    """

    def __init__(self, unpacked: gzip.GzipFile, deadline: float) -> None:
        super().__init__()
        self._unpacked = unpacked
        self._deadline = deadline
        self._at = 0
        self.allowed = _HEADER

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        if size < 0 or size > self.allowed:
            raise _TooMuch("has a header, or an end, that is longer than any of an honest archive")
        self.allowed -= size
        return self._read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go forward to a place."""
        if whence != io.SEEK_SET or offset < self._at:
            raise tarfile.ReadError("a member begins before the end of the one before")
        while self._at < offset and self._read(min(_CHUNK, offset - self._at)):
            pass
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def seekable(self) -> bool:
        """Whether it can seek: forward only."""
        return True

    def _read(self, size: int) -> bytes:
        if time.monotonic() > self._deadline:
            raise _TooMuch(f"takes more than {_SECONDS:g} s to read")
        data = self._unpacked.read(size)
        self._at += len(data)
        return data


def _members(stream: _Forward) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    stream.allowed = _HEADER
    tar: Any  # its types know of neither of the two that are emptied below
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        while True:
            stream.allowed = _HEADER
            member = tar.next()
            if member is None:
                return
            yield tar, member
            # It would remember each member, and what headers say of all that follow.
            tar.members.clear()
            tar.pax_headers.clear()


class _Bounds:
    """Counts what was read so far, and refuses what exceeds the limits."""

    def __init__(self, archive: Path, most_bytes: int) -> None:
        self._archive = archive
        self._most_bytes = most_bytes
        self._names: set[str] = set()
        self._characters = 0
        self._bytes = 0

    def add(self, member: tarfile.TarInfo) -> None:
        """Take one more; raises RecoveryRefused, or says what there is too much of."""
        _require_safe(self._archive, member)
        if member.name in self._names:
            raise RecoveryRefused(f"{self._archive} holds {member.name!r} twice", hint=_WHERE)
        self._names.add(member.name)
        self._characters += len(member.name)
        self._bytes += member.size
        if self._bytes > self._most_bytes:
            raise RecoveryRefused(
                f"{self._archive} would take more than {self._most_bytes} bytes unpacked",
                hint="is it the right one? then make room first",
            )
        if len(self._names) > MEMBERS:
            raise _TooMuch(f"holds more than {MEMBERS} files and folders")
        if self._characters > _NAMES:
            raise _TooMuch("holds names that are longer together than those of any honest archive")


def _require_safe(archive: Path, member: tarfile.TarInfo) -> None:
    if len(member.name) > _NAME:
        raise _TooMuch(f"holds a name of {len(member.name)} characters: {member.name[:40]!r}…")
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\0" in member.name:
        raise RecoveryRefused(
            f"{archive} holds {member.name!r}, which leads out of its folder", hint=_WHERE
        )
    if member.issparse() or (not member.isreg() and not member.isdir()):
        kind = "a link" if member.issym() or member.islnk() else "a device or the like"
        raise RecoveryRefused(f"{archive} holds {member.name!r}, which is {kind}", hint=_WHERE)
