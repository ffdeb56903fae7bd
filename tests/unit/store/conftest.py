"""Each test of the store runs in each database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .databases import Database, Preparing, Sqlite


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Sqlite(tmp_path / "projection.sqlite3")


@pytest.fixture
async def store(database: Database) -> AsyncIterator[Preparing]:
    """The writer's view of a projection that holds nothing yet."""
    store = database.store()
    await store.prepare()
    yield store
    await store.close()
