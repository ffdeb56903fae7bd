"""A few small files out of an archive that others made: tar, plain or gzipped, or zip.

Whatever an archive holds, reading it takes bounded memory and time. Other compressions are refused:
what they unpack with is as large as the archive says.
"""

import gzip
import io
import os
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from workflow_backend_node.requests import Refused

MEMBERS = 1 << 18
"""Members at most: a home with half a terabyte of blocks has as many files."""

SMALL = 16 << 20
"""Bytes of all files that are read, together; only a genesis has more than a few hundred."""

_NAMES = 64 << 20  # characters of all names together
_HEADER = 16 << 10  # bytes of the headers of one member of a tar
# Bytes of the list of a zip's members; Python takes twenty times as much. Keys are read at once.
_DIRECTORY = SMALL + 1
_SECONDS = 3600.0
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_DAMAGED = (
    *(tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile),
    *(ValueError, struct.error, RecursionError, NotImplementedError, RuntimeError),
)

type Members = dict[str, bytes | None]


def read(archive: Path, names: Collection[str]) -> Members | None:
    """Return the members by name, with the content of those whose last part is one of the names.

    None if the file is not an archive. Raises `Refused` if it is damaged, or takes more memory or
    time than an honest one.
    """
    if zipfile.is_zipfile(archive):
        members = _zip(archive, names)
    elif archive.is_file() and _looks_like_tar(archive):
        members = _tar(archive, names)
    else:
        return None
    contents: Members = {}
    characters = small = 0
    try:
        for number, (name, content) in enumerate(members, 1):
            contents[name] = content
            characters, small = characters + len(name), small + len(content or b"")
            if number > MEMBERS or characters > _NAMES:
                raise Refused(f"{archive} holds more files than any home: pack the home alone")
            if small > SMALL:
                raise Refused(f"{archive} holds keys of more than {SMALL} bytes: they are none")
    except _DAMAGED as error:
        raise Refused(f"{archive} is damaged: {error}: copy it again") from error
    return contents


def _looks_like_tar(archive: Path) -> bool:
    """Whether it begins with a header of a member; the rest is judged while it is read."""
    with archive.open("rb") as file:
        start = file.read(tarfile.BLOCKSIZE)
    if start.startswith(_GZIP):
        try:
            with gzip.open(archive) as unpacked:
                start = unpacked.read(tarfile.BLOCKSIZE)
        except OSError, EOFError, zlib.error:
            return False
    return len(start) == tarfile.BLOCKSIZE and start[257:262] == b"ustar"


def _zip(archive: Path, names: Collection[str]) -> Iterator[tuple[str, bytes | None]]:
    with _ListedShortly(archive) as file, zipfile.ZipFile(file) as opened:
        for member in opened.infolist():
            content = None
            if PurePosixPath(member.filename).name in names:
                if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                    raise Refused(f"{archive}: {member.filename!r} is not packed by deflate")
                with opened.open(member) as packed:
                    content = packed.read(SMALL + 1)
            yield member.filename, content


class _ListedShortly(io.FileIO):
    """A zip whose list of members is refused where it is huge: Python reads all of it at once.

    Its length is told twice in a large zip, so what counts is how much is really read.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as a file does, in no piece that is larger than the list may be."""
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size - self.tell()
        if size > _DIRECTORY:
            raise Refused(f"{self.name} holds more files than any home: pack the home alone")
        return super().read(size) or b""


def _tar(archive: Path, names: Collection[str]) -> Iterator[tuple[str, bytes | None]]:
    with archive.open("rb") as raw:
        packed = raw.read(2) == _GZIP
    with gzip.open(archive) if packed else archive.open("rb") as unpacked:
        stream = _Forward(archive, unpacked)
        tar: Any  # its types know of neither of the two that are emptied below
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            while member := tar.next():
                content = None
                if PurePosixPath(member.name).name in names:
                    if not member.isreg() or member.issparse():
                        raise Refused(f"{member.name} in {archive} is not a file")
                    stream.allowed = min(member.size, SMALL + 1) + _CHUNK
                    file = tar.extractfile(member)
                    content = file.read(SMALL + 1) if file else b""
                yield member.name, content
                # It would remember each member, and what headers say of all that follow.
                tar.members.clear()
                tar.pax_headers.clear()
                stream.allowed = _HEADER


class _Forward(io.RawIOBase):
    """The unpacked bytes of an archive, for tarfile: it reads headers and seeks over files.

    So reads are bounded, to what is `allowed` now, and seeks only go forward.
    """

    def __init__(self, archive: Path, unpacked: IO[bytes] | gzip.GzipFile) -> None:
        super().__init__()
        self._archive = archive
        self._unpacked = unpacked
        self._deadline = time.monotonic() + _SECONDS
        self._at = 0
        self.allowed = _HEADER

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        if size < 0 or size > self.allowed:
            raise Refused(f"{self._archive} has a header that is longer than any of an honest one")
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
        """Whether it can be told to go forward."""
        return True

    def _read(self, size: int) -> bytes:
        if time.monotonic() > self._deadline:
            raise Refused(f"{self._archive} takes more than {_SECONDS:g} s to read")
        data = self._unpacked.read(size)
        self._at += len(data)
        return data
