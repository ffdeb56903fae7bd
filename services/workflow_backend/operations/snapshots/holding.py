"""A snapshot that somebody reads, or that a restore still needs, is not removed meanwhile."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def held(snapshot: Path) -> Iterator[None]:
    """Hold a snapshot's folder for as long as the block runs; others may hold it as well.

    What is not there, or no folder, is the reader's to tell.
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
def free(snapshot: Path) -> Iterator[bool]:
    """Tell whether nobody holds a snapshot, and let nobody begin to while the block runs."""
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
