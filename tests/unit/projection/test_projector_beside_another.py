"""Two projectors of one projection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postgres_harness import running_postgres

from workflow_backend.projection.service import StatusReport, project
from workflow_backend.store.base import Change, WritableStore
from workflow_backend.store.postgresql import PostgresqlStore
from workflow_backend.store.sqlite import SqliteStore

from .fake_index import Chain, projector


@pytest.fixture(params=["sqlite", "postgresql"])
async def two_writers(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[WritableStore, WritableStore]]:
    """One projection as two processes have it."""
    with contextlib.ExitStack() as opened:
        writers: tuple[WritableStore, WritableStore]
        if request.param == "sqlite":
            path = tmp_path / "p.sqlite3"
            writers = SqliteStore(path, "c", "con_c"), SqliteStore(path, "c", "con_c")
        else:
            dsn = opened.enter_context(running_postgres())
            writers = PostgresqlStore(dsn, "c", "con_c"), PostgresqlStore(dsn, "c", "con_c")
        await writers[0].prepare()
        yield writers
        for writer in writers:
            await writer.close()


async def test_projector_repairs_rows_of_a_faster_one(
    two_writers: tuple[WritableStore, WritableStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one read its records before: what this one read of later blocks is in no row."""
    chain = Chain()
    chain.block([("a", 1)], indexed=True)
    store, its_store = two_writers
    it_has_read, it_may_write = asyncio.Event(), asyncio.Event()
    write_its = its_store.apply

    async def held(change: Change) -> bool:
        it_has_read.set()
        await it_may_write.wait()
        return await write_its(change)

    monkeypatch.setattr(its_store, "apply", held)
    other = asyncio.create_task(projector(chain, its_store, page=5).run(until_caught_up=True))
    await asyncio.wait_for(it_has_read.wait(), 10)
    chain.block([("a", 1)], indexed=False)
    write = store.apply

    async def second(change: Change) -> bool:
        it_may_write.set()
        await other
        chain.indexed = chain.height
        return await write(change)

    runner = projector(chain, store, page=5, heard=True)
    taken = asyncio.Queue[Change]()
    runner._applied = taken.put_nowait
    monkeypatch.setattr(store, "apply", second)
    running = asyncio.create_task(project(runner, StatusReport()))
    while (await asyncio.wait_for(taken.get(), 10)).cursor.position.height < 2:
        pass
    running.cancel()
    await asyncio.wait({running})
    assert (await store.item("a") or {})["status"] == "processing"
    assert (await store.counts())["processing"] == 1


async def test_projector_repairs_rows_of_a_rebuild(
    two_writers: tuple[WritableStore, WritableStore],
) -> None:
    """A rebuild that ends where the projector is may have read its records before."""
    chain = Chain()
    chain.block([("a", 1)], indexed=True)
    store, its_store = two_writers
    runner = projector(chain, store, page=5, heard=True)
    taken = asyncio.Queue[Change]()
    runner._applied = taken.put_nowait
    async with its_store.rebuilding() as fresh:
        await projector(chain, fresh, page=5).run(until_caught_up=True)
        chain.block([("a", 1)], indexed=False)
        running = asyncio.create_task(project(runner, StatusReport()))
        await asyncio.wait_for(taken.get(), 10)
    chain.indexed = chain.height
    while (await asyncio.wait_for(taken.get(), 10)).cursor.position.height < 2:
        pass
    running.cancel()
    await asyncio.wait({running})
    assert (await store.item("a") or {})["status"] == "processing"
    assert (await store.counts())["processing"] == 1
