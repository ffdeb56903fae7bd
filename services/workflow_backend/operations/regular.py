"""Reads files that another account may have put there: plain ones alone, and never without end."""

import os
import stat
from pathlib import Path

from ..errors import RecoveryRefused


def read_regular(path: Path, most_bytes: int) -> bytes:
    """Return the bytes of a plain file; raises OSError as reading does.

    Raises RecoveryRefused for a link, a pipe or a device, which may lead elsewhere or hang, and for
    a file that is larger than that.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise RecoveryRefused(f"{path} is no plain file")
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise RecoveryRefused(f"{path} is larger than {most_bytes} bytes")
    return content
