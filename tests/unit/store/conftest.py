"""Each test of the store runs in each database."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from postgres_harness import running_postgres

from workflow_backend.store.base import WritableStore

from .databases import Database, Postgresql, Sqlite


@pytest.fixture(scope="session")
def dsn() -> Iterator[str]:
    """A PostgreSQL for all tests."""
    with running_postgres() as dsn:
        yield dsn


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return Sqlite(tmp_path / "projection.sqlite3")
    postgresql = Postgresql(request.getfixturevalue("dsn"))
    await postgresql.empty()
    return postgresql


@pytest.fixture
async def store(database: Database) -> AsyncIterator[WritableStore]:
    """The writer's view of a projection that holds nothing yet."""
    store = database.store()
    await store.prepare()
    yield store
    await store.close()
