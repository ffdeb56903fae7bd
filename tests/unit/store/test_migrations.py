"""Schemas: an older projection is brought up with its rows, a newer one of its layout is used."""

import asyncio
import contextlib
import json
import socket
import sqlite3
from importlib import resources
from pathlib import Path

import asyncpg
import pytest

from workflow_backend.errors import ProjectionMismatch, ProjectionUnavailable
from workflow_backend.items import EventPosition
from workflow_backend.store import migrations
from workflow_backend.store.base import EventFilter, ItemFilter
from workflow_backend.store.sqlite import SqliteStore

from .databases import Database, Postgresql, Sqlite, everything
from .records import CHAIN, CONTRACT, at, block, change, event, item

_ITEM = "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A projection as the first schema has it: two items, three events."""
    path = tmp_path / "projection.sqlite3"
    step = resources.files(migrations) / "sqlite" / "0001_items_events.sql"
    database = sqlite3.connect(path)
    database.executescript(step.read_text() + "PRAGMA journal_mode = WAL; PRAGMA user_version = 1;")
    cursor = {"place": [7, 0, 1], "seen": {"ItemClaimed": [12, [7, 0, 1]]}}
    row = (CHAIN, CONTRACT, json.dumps(cursor), 9)
    database.execute("INSERT INTO projection VALUES (1, ?, ?, ?, ?)", row)
    for item_id, status, worker, height in (("a", "processing", "w", 5), ("b", "submitted", "", 6)):
        values = (item_id, "r", "mail", "p", "m", status, worker, "", "")
        times = ("2026-01-01", "2026-01-02", 1, 60, None, height << 32)
        database.execute(_ITEM, values + times)
    for position, name, item_id, data in (
        (5 << 32, "ItemSubmitted", "a", {"item_id": "a"}),
        (6 << 32, "ItemSubmitted", "b", {"item_id": "b"}),
        (7 << 32 | 1, "ItemClaimed", "a", {"item_id": "a", "worker": "w"}),
    ):
        event = (position, name, item_id, json.dumps(data), "AB", "2026-01-01")
        database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", event)
    database.commit()
    database.close()
    return path


async def test_first_schema_keeps_its_rows(first: Path) -> None:
    store = SqliteStore(first, CHAIN, CONTRACT)
    await store.prepare()
    rows = (await store.items(ItemFilter())).rows
    assert [(row["item_id"], row["status"], row["updated_at"]) for row in rows] == [
        ("b", "submitted", "2026-01-02"),
        ("a", "processing", "2026-01-02"),
    ]
    counts = await store.counts()
    assert (counts["submitted"], counts["processing"], counts["completed"]) == (1, 1, 0)
    listed = (await store.events(EventFilter(kind="mail", requester="r"))).rows
    assert [row["event_id"] for row in listed] == ["7-0-1", "6-0-0", "5-0-0"]
    assert [row["event_id"] for row in (await store.events(EventFilter(worker="w"))).rows] == [
        "7-0-1"
    ]
    assert (await store.progress()).height == 9
    assert (await store.cursor()).seen == {"ItemClaimed": (12, EventPosition(7, 0, 1))}
    done = change(
        EventPosition(7, 0, 1), [event(8, "a", "ItemCompleted")], [item("a", status="completed")]
    )
    await store.apply(done)
    assert [row["item_id"] for row in (await store.items(ItemFilter())).rows] == ["b", "a"]
    await store.close()


async def test_blocks_of_older_events_are_backfilled(first: Path) -> None:
    store = SqliteStore(first, CHAIN, CONTRACT)
    await store.prepare()
    row = await store.item("a") or {}
    assert row["updated_time"] == "2026-01-02T00:00:00.000000Z"  # the contract's, until then
    positions = await store.positions_without_blocks()
    assert [str(position) for position in positions] == ["5-0-0", "6-0-0", "7-0-1"]
    await store.backfill_blocks(positions, {height: block(height) for height in (5, 6, 7)})
    assert await store.positions_without_blocks() == []
    row = await store.item("a") or {}
    assert (row["created_time"], row["updated_time"]) == (block(5).time, block(7).time)
    for which, expected in (
        (ItemFilter(updated_from=at(7)), ["a", "b"]),
        (ItemFilter(updated_from=at(8)), ["a"]),
        (ItemFilter(created_from=at(7)), ["b"]),
        (ItemFilter(created_before=at(7)), ["a"]),
    ):
        rows = (await store.items(which)).rows
        assert [row["item_id"] for row in rows] == expected
    await store.apply(
        change(EventPosition(7, 0, 1), [event(8, "b", "ItemClaimed")], [item("b", 8)])
    )
    assert await store.positions_without_blocks() == []
    await store.close()


async def test_migrated_schema_equals_new_schema(first: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.sqlite3"
    schemas = []
    for path in (first, fresh):
        store = SqliteStore(path, CHAIN, CONTRACT)
        await store.prepare()
        await store.close()
        database = sqlite3.connect(path)
        schemas.append(database.execute("SELECT type, name, sql FROM sqlite_schema").fetchall())
        database.close()
    assert schemas[0] == schemas[1]


async def test_foreign_projection_is_not_migrated(first: Path) -> None:
    store = SqliteStore(first, CHAIN, "con_other")
    with pytest.raises(ProjectionMismatch, match=r"con_job_workflow on chain-1.*con_other"):
        await store.prepare()
    database = sqlite3.connect(first)
    assert database.execute("PRAGMA user_version").fetchone() == (1,)
    database.close()


async def test_reader_waits_for_migration(first: Path) -> None:
    reader, writer = SqliteStore(first, CHAIN, CONTRACT), SqliteStore(first, CHAIN, CONTRACT)
    with pytest.raises(ProjectionUnavailable, match="schema 1, this release needs 9"):
        await reader.counts()
    await writer.prepare()
    assert sum((await reader.counts()).values()) == 2
    await reader.close()
    await writer.close()


async def test_reader_continues_during_migration(first: Path) -> None:
    reader = sqlite3.connect(first, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM items").fetchone() == (2,)
    writer = SqliteStore(first, CHAIN, CONTRACT)
    await writer.prepare()
    assert reader.execute("SELECT count(first_place) FROM items").fetchone() == (2,)
    reader.close()
    await writer.close()


async def test_concurrent_starts_migrate_once(database: Database) -> None:
    stores = [database.store() for _ in range(4)]
    await asyncio.gather(*(store.prepare() for store in stores))
    states = [await everything(store) for store in stores]
    assert all(state == states[0] for state in states)
    for store in stores:
        await store.close()


async def test_migration_extends_start_timeout(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        store = database.store()
        await store.prepare()
        assert manager.recv(1_000) == b"EXTEND_TIMEOUT_USEC=3600000000"
        with contextlib.suppress(BlockingIOError):
            while manager.recv(1_000):
                pass
        await store.close()
        again = database.store()
        await again.prepare()  # there is nothing to do, and so nothing to say
        await again.close()
        with pytest.raises(BlockingIOError):
            manager.recv(1_000)


async def test_newer_layout_is_refused(database: Database) -> None:
    store = database.store()
    await store.prepare()
    await store.close()
    if isinstance(database, Sqlite):
        file = sqlite3.connect(database.path)
        file.execute("PRAGMA user_version = 1001")
        file.close()
    elif isinstance(database, Postgresql):
        connection = await asyncpg.connect(database.dsn)
        await connection.execute("INSERT INTO workflow_projection.migrations VALUES (1001)")
        await connection.close()
    newer = database.store()
    with pytest.raises(ProjectionUnavailable, match="schema 1001 of a newer release"):
        await newer.prepare()
    with pytest.raises(ProjectionUnavailable, match="schema 1001 of a newer release"):
        await newer.counts()
    await newer.close()


async def test_failed_step_changes_nothing(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        migrations, "steps", lambda *_: iter([(2, "DROP TABLE events; SELECT no_such_function();")])
    )
    monkeypatch.setattr(migrations, "newest", lambda _: 2)
    with pytest.raises(sqlite3.OperationalError, match="no_such_function"):
        await SqliteStore(first, CHAIN, CONTRACT).prepare()
    database = sqlite3.connect(first)
    assert database.execute("SELECT count(*) FROM events").fetchone() == (3,)
    assert database.execute("PRAGMA user_version").fetchone() == (1,)
    database.close()


async def test_replaced_file_is_reopened(tmp_path: Path) -> None:
    path, beside = tmp_path / "projection.sqlite3", tmp_path / "other.sqlite3"
    for where, item_id in ((path, "old"), (beside, "new")):
        store = SqliteStore(where, CHAIN, CONTRACT)
        await store.prepare()
        await store.apply(change(EventPosition(-1, -1, -1), [event(1, item_id)], [item(item_id)]))
        await store.close()
    reader = SqliteStore(path, CHAIN, CONTRACT)
    assert await reader.item("old")
    beside.replace(path)
    assert await reader.item("new")
    assert await reader.item("old") is None
    path.unlink()
    with pytest.raises(ProjectionUnavailable):
        await reader.item("new")
    await reader.close()
