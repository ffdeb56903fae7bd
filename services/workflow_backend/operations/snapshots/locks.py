"""Locks on snapshots: one that is being read, or that a restore needs, is not removed."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def shared_lock(snapshot: Path) -> Iterator[None]:
    """Share a lock on a snapshot's folder while the block runs.

    A folder that does not exist is not an error here: its reader reports that.
    """
    descriptor = _opened(snapshot)
    try:
        if descriptor is not None:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def try_exclusive_lock(snapshot: Path) -> Iterator[bool]:
    """Tell whether nobody holds a snapshot, and keep others from it while the block runs."""
    descriptor = _opened(snapshot)
    try:
        if descriptor is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
        yield True
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _opened(snapshot: Path) -> int | None:
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.open(snapshot, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return None
