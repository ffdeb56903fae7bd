"""What lies in the projection's place and is none."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from workflow_backend.errors import ProjectionUnavailable
from workflow_backend.store import connection, migrations
from workflow_backend.store.sqlite import SqliteStore


def _link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere.sqlite3"))


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, _link])
async def test_store_opens_regular_files_only(tmp_path: Path, make: Callable[[Path], None]) -> None:
    other = SqliteStore(tmp_path / "elsewhere.sqlite3", "chain-1", "con_job_workflow")
    await other.prepare()
    await other.close()
    before = set(tmp_path.iterdir())
    path = tmp_path / "projection.sqlite3"
    make(path)
    store = SqliteStore(path, "chain-1", "con_job_workflow")
    with pytest.raises(ProjectionUnavailable, match="is not a regular file"):
        await store.progress()
    with pytest.raises(ProjectionUnavailable, match="is not a regular file"):
        await store.prepare()
    await store.close()
    assert set(tmp_path.iterdir()) == before | {path}


ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT n FROM r WHERE n = 0"


async def test_store_runs_no_foreign_triggers_or_views(tmp_path: Path) -> None:
    path = tmp_path / "projection.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE VIEW projection AS {ENDLESS}")
        database.execute(f"PRAGMA user_version = {migrations.newest('sqlite')}")
        database.commit()
    store = SqliteStore(path, "chain-1", "con_job_workflow")
    with pytest.raises(ProjectionUnavailable, match="holds views or triggers"):
        await store.progress()
    await store.close()


async def test_store_interrupts_endless_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "READ_SECONDS", 0.05)
    store = SqliteStore(tmp_path / "projection.sqlite3", "chain-1", "con_job_workflow")
    await store.prepare()
    with pytest.raises(ProjectionUnavailable, match="interrupted"):
        await store._fetch(ENDLESS)  # no question of its own is without end
    monkeypatch.undo()
    assert (await store.progress()).height == 0
    await store.close()
