"""What lies in the projection's place and is none."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from workflow_backend.errors import ProjectionUnavailable
from workflow_backend.store.sqlite import SqliteStore


def _link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere.sqlite3"))


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, _link])
async def test_store_opens_nothing_but_a_regular_file(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    other = SqliteStore(tmp_path / "elsewhere.sqlite3", "chain-1", "con_job_workflow")
    await other.prepare()
    await other.close()
    before = set(tmp_path.iterdir())
    path = tmp_path / "projection.sqlite3"
    make(path)
    store = SqliteStore(path, "chain-1", "con_job_workflow")
    with pytest.raises(ProjectionUnavailable, match="no regular file"):
        await store.position()
    with pytest.raises(ProjectionUnavailable, match="no regular file"):
        await store.prepare()
    await store.close()
    assert set(tmp_path.iterdir()) == before | {path}
