"""A projection made anew takes the old one's place: at once, under readers and a writer."""

import asyncio
import sqlite3

import asyncpg
import pytest

from workflow_backend.errors import ProjectionBusy, ProjectionMismatch, ProjectionMoved
from workflow_backend.items import START, EventPosition
from workflow_backend.store.base import EventFilter, ItemFilter, WritableStore

from .databases import Database, Postgresql, Sqlite, everything
from .records import CHAIN, change, event, first_page, item

OLD = first_page(event(1, "a"), event(2, "b"), items=[item("a"), item("b", kind="old")])
NEW = first_page(event(1, "a"), items=[item("a", kind="new")])


async def names(store: WritableStore) -> list[str]:
    return [row["item_id"] for row in (await store.items(ItemFilter())).rows]


async def test_readers_and_writer_see_rebuilt_projection(
    store: WritableStore, database: Database
) -> None:
    await store.apply(OLD)
    reader, operator = database.store(), database.store()
    for _ in range(8):  # often enough for every statement to be a prepared one
        assert await names(reader) == ["b", "a"]
    async with operator.rebuilding() as fresh:
        await fresh.apply(NEW)
        assert await names(reader) == ["b", "a"]
        assert await names(fresh) == ["a"]
        await store.apply(change(EventPosition(2, 1, 2), [event(3, "c")], [item("c")]))
    for _ in range(8):
        assert await names(reader) == ["a"]
    assert (await reader.item("a") or {})["kind"] == "new"
    assert (await reader.counts())["submitted"] == 1
    assert (await reader.progress()).last_event_id == "1-1-2"
    with pytest.raises(ProjectionMoved):
        await store.apply(change(EventPosition(3, 1, 2), [event(4, "d")], [item("d")]))
    since = (await store.cursor()).position
    later = [event(2, "b"), event(3, "c"), event(4, "d")]
    await store.apply(change(since, later, [item("b"), item("c"), item("d")]))
    assert await names(reader) == ["d", "c", "b", "a"]
    assert len((await reader.events(EventFilter())).rows) == 4
    await reader.close()
    await operator.close()


async def test_failed_rebuild_changes_nothing(store: WritableStore) -> None:
    await store.apply(OLD)
    before = await everything(store)

    async def fail() -> None:
        async with store.rebuilding() as fresh:
            await fresh.apply(NEW)
            raise RuntimeError("the node is gone")

    with pytest.raises(RuntimeError, match="node is gone"):
        await fail()
    assert await everything(store) == before
    async with store.rebuilding() as fresh:
        assert (await fresh.cursor()).position == START
    assert await names(store) == []


async def test_rebuild_runs_once_at_a_time(store: WritableStore, database: Database) -> None:
    other = database.store()
    async with store.rebuilding() as fresh:
        await fresh.apply(NEW)
        with pytest.raises(ProjectionBusy):
            async with other.rebuilding():
                pass
    assert await names(store) == ["a"]
    await other.close()


async def test_rebuild_refuses_foreign_projection(store: WritableStore, database: Database) -> None:
    await store.apply(OLD)
    other = database.store(CHAIN, "con_other")
    with pytest.raises(ProjectionMismatch, match=r"con_job_workflow.*con_other"):
        async with other.rebuilding():
            pass
    assert await names(store) == ["b", "a"]
    await other.close()


async def test_rebuild_needs_no_projection(database: Database) -> None:
    store = database.store()
    async with store.rebuilding() as fresh:
        await fresh.apply(NEW)
    assert await names(store) == ["a"]
    await store.close()


async def test_reads_and_writes_continue_during_rebuild(
    store: WritableStore, database: Database
) -> None:
    """Nobody sees half of it, and nobody fails but the writer, who is told why."""
    await store.apply(OLD)
    reader, operator = database.store(), database.store()
    over = asyncio.Event()
    seen: set[tuple[str, ...]] = set()

    async def read() -> None:
        while not over.is_set():
            seen.add(tuple(await names(reader)))
            await asyncio.sleep(0)

    async def write() -> None:
        while not over.is_set():
            cursor = await store.cursor()
            try:
                await store.apply(change(cursor.position, [], [], height=9))
            except ProjectionMoved:
                continue
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(read())
        tasks.create_task(write())
        for _ in range(3):
            async with operator.rebuilding() as fresh:
                await fresh.apply(NEW)
            async with operator.rebuilding() as fresh:
                await fresh.apply(OLD)
        over.set()
    assert seen <= {("b", "a"), ("a",)}
    await reader.close()
    await operator.close()


async def test_rebuild_removes_leftovers_of_a_killed_one(
    store: WritableStore, database: Database
) -> None:
    await store.apply(OLD)
    if isinstance(database, Sqlite):
        file = sqlite3.connect(database.path.with_name(f"{database.path.name}.rebuild"))
        file.execute("CREATE TABLE items (half INTEGER)")
        file.close()
    elif isinstance(database, Postgresql):
        left = await asyncpg.connect(database.dsn)
        await left.execute("CREATE SCHEMA workflow_projection_rebuild")
        await left.execute("CREATE TABLE workflow_projection_rebuild.items (half integer)")
        await left.close()
    async with store.rebuilding() as fresh:
        await fresh.apply(NEW)
    assert await names(store) == ["a"]
    if isinstance(database, Sqlite):
        assert not list(database.path.parent.glob("*.rebuild"))


async def test_rebuild_analyses_every_table(dsn: str) -> None:
    """Until PostgreSQL looks at them by itself, lists would be planned by guesses."""
    database = Postgresql(dsn)
    await database.empty()
    store = database.store()
    async with store.rebuilding() as fresh:
        await fresh.apply(OLD)
    connection = await asyncpg.connect(dsn)
    unknown = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'workflow_projection'::regnamespace "
        "AND relkind = 'r' AND relname <> 'migrations' AND reltuples < 0"
    )
    await connection.close()
    assert unknown == []
    await store.close()
