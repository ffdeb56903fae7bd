"""The lock of a wallet or a projector. What the wallet's tests say of it is not repeated."""

import os
from pathlib import Path

import pytest

from workflow_backend.errors import WorkflowError
from workflow_backend.file_lock import file_lock

BUSY = WorkflowError("another one runs")


def test_file_lock_has_one_holder(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    with file_lock(path, BUSY):
        with pytest.raises(WorkflowError, match="another one runs"), file_lock(path, BUSY):
            pass
        with file_lock(tmp_path / "other.lock", BUSY):
            pass
    with file_lock(path, BUSY):
        pass


@pytest.mark.as_root
def test_file_lock_of_root_belongs_to_the_folders_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with file_lock(tmp_path / "one.lock", BUSY):
        found = (tmp_path / "one.lock").stat()
    assert (found.st_uid, found.st_gid) == (12345, 12345)
