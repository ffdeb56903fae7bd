"""A lock file that one process at a time holds; it is free again when the process ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import WorkflowError


@contextlib.contextmanager
def file_lock(path: Path, busy: WorkflowError) -> Iterator[None]:
    """Hold the lock for as long as the block runs; raises `busy` if another process holds it.

    The file belongs in a folder of the service's own account: in any other, every account of the
    machine could hold the lock and keep the service from starting.
    """
    lock = _open(path)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        yield
    finally:
        os.close(lock)


def _open(path: Path) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        lock = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    if os.geteuid() == 0:
        # A command that root runs by hand must not create what the service can't open.
        folder = path.parent.stat()
        os.fchown(lock, folder.st_uid, folder.st_gid)
    return lock
