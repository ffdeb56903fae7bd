"""An empty projection."""

from pathlib import Path

import pytest

from workflow_backend.store.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path: Path) -> SqliteStore:
    store = SqliteStore(tmp_path / "p.sqlite3", "c", "con_c")
    await store.prepare()
    return store
