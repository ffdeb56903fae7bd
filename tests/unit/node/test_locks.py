"""A lock on a folder is waited for, and not without end."""

import fcntl
import os
from pathlib import Path

import pytest

from workflow_backend_node import locks
from workflow_backend_node.requests import Refused


def test_lock_that_another_holds_is_waited_for_with_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "WAIT_SECONDS", 0.2)
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with (
        pytest.raises(Refused, match=f"another process holds the lock on {tmp_path} for 0.2 s"),
        locks.folder_lock(tmp_path, check=False),
    ):
        raise AssertionError
    os.close(other)
    with locks.folder_lock(tmp_path, check=False):
        pass
