"""Reads files that another account may have put there: regular ones only, up to a limit."""

import errno
import os
import stat
from pathlib import Path

from ..errors import RecoveryRefused

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def read_regular_file(path: Path, most_bytes: int) -> bytes:
    """Return the bytes of a regular file; raises OSError as reading does.

    Raises RecoveryRefused for a pipe or a device, which may hang, for a link in its place or in
    that of its folder, which leads elsewhere, and for a file that is larger than that.
    """
    folder = _open(path.parent, os.O_DIRECTORY)
    try:
        descriptor = _open(path, os.O_NONBLOCK, folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RecoveryRefused(f"{path} is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise RecoveryRefused(f"{path} is larger than {most_bytes} bytes")
    return content


def _open(path: Path, flags: int, folder: int | None = None) -> int:
    try:
        return os.open(path if folder is None else path.name, _FLAGS | flags, dir_fd=folder)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENXIO}:
            what = "folder" if folder is None else "regular file"
            raise RecoveryRefused(f"{path} is not a {what}") from error
        error.filename = str(path)
        raise
