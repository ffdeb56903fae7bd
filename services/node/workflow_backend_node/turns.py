"""Whoever makes or changes something in a folder does so alone: two deployments take turns."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(folder: Path, check: bool) -> Iterator[None]:
    """Wait until no other has its turn in the folder, which is made where it is missing.

    In check mode nothing is made, so there is nothing to wait for. The turn of a process that dies
    ends with it.
    """
    if check:
        yield
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
