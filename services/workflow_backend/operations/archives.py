"""Archives of others, looked through as a whole before anything is unpacked."""

import gzip
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from ..errors import RecoveryRefused

_DAMAGED = (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, ValueError)


def look_through(
    archive: Path, *, most_bytes: int, wanted: Collection[str] = (), limit: int = 1 << 20
) -> dict[str, bytes]:
    """Read a .tar.gz to its end; return the first `limit` bytes of each of the `wanted` files.

    Raises RecoveryRefused where it is truncated or damaged, where it would be larger than
    `most_bytes`, and where a member is not a plain file or folder below the place that it would be
    unpacked to.
    """
    found: dict[str, bytes] = {}
    names: set[str] = set()
    total = 0
    try:
        with gzip.open(archive) as unpacked:
            with tarfile.open(fileobj=unpacked, mode="r|") as members:
                for member in members:
                    _require_safe(archive, member)
                    if member.name in names:
                        raise RecoveryRefused(f"{archive} holds {member.name!r} twice", hint=_WHERE)
                    names.add(member.name)
                    total += member.size
                    if total > most_bytes:
                        raise RecoveryRefused(
                            f"{archive} would take more than {most_bytes} bytes unpacked",
                            hint="is it the right one? then make room first",
                        )
                    if member.name in wanted:
                        file = members.extractfile(member)
                        found[member.name] = file.read(limit) if file else b""
            # The archive's own end is not the file's: what is behind it has the check sum.
            while unpacked.read(1 << 20):
                pass
    except _DAMAGED as error:
        raise RecoveryRefused(
            f"{archive} is truncated or damaged: {error}", hint=f"copy it again; {_WHERE}"
        ) from error
    return found


_WHERE = "use another one, or make a new one on a host that is well"


def _require_safe(archive: Path, member: tarfile.TarInfo) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\0" in member.name:
        raise RecoveryRefused(
            f"{archive} holds {member.name!r}, which leads out of its folder", hint=_WHERE
        )
    if not member.isreg() and not member.isdir():
        kind = "a link" if member.issym() or member.islnk() else "a device or the like"
        raise RecoveryRefused(f"{archive} holds {member.name!r}, which is {kind}", hint=_WHERE)
