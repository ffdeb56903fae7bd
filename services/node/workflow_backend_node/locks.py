"""A lock on a folder: two deployments that change it at the same time take turns."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workflow_backend_node.requests import Refused

WAIT_SECONDS = 600.0
"""Longer than any other deployment holds a folder."""

POLL_SECONDS = 0.1


@contextmanager
def folder_lock(folder: Path, check: bool) -> Iterator[None]:
    """Wait for the lock on a folder, which is made if it is missing, and hold it.

    In check mode nothing is made, so there is nothing to wait for. The kernel releases the lock of
    a process that dies. Raises Refused where another holds it too long: the folder's account can
    hold it for ever, and root waits for this program.
    """
    if check:
        yield
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Refused(
                    f"another process holds the lock on {folder} for {WAIT_SECONDS:g} s: find it "
                    f"with `lslocks`, end it, then run this again"
                ) from None
            time.sleep(POLL_SECONDS)
        else:
            return
