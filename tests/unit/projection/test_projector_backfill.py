"""The backfill of blocks that an earlier release left out."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from workflow_backend.items import Block, EventPosition
from workflow_backend.store.base import Change
from workflow_backend.store.sqlite import SqliteStore

from .fake_index import Chain, projector


async def test_projector_backfills_blocks(tmp_path: Path, store: SqliteStore) -> None:
    chain = Chain()
    for item_id in ("a", "b", "a"):
        chain.block([(item_id, 1)], indexed=True)
    await projector(chain, store, page=2).run(until_caught_up=True)
    expected = [await store.item(item_id) for item_id in ("a", "b")]
    with contextlib.closing(sqlite3.connect(tmp_path / "p.sqlite3")) as earlier, earlier:
        earlier.execute("DELETE FROM blocks WHERE height > 1")
        earlier.execute("UPDATE items SET last_place = NULL WHERE item_id = 'b'")
        earlier.execute("UPDATE items SET last_place = place WHERE item_id = 'a'")
        earlier.execute("UPDATE projection SET blocks_place = ?", [1 << 32])
    assert [await store.item(item_id) for item_id in ("a", "b")] != expected
    await projector(chain, store, page=2).run(until_caught_up=True)
    assert [await store.item(item_id) for item_id in ("a", "b")] == expected


async def test_new_events_do_not_wait_for_backfill(
    tmp_path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Chain()
    chain.block([("a", 1), ("b", 1)], indexed=True)
    await projector(chain, store, page=2).run(until_caught_up=True)
    expected = await store.item("b")
    with contextlib.closing(sqlite3.connect(tmp_path / "p.sqlite3")) as earlier, earlier:
        earlier.execute("DELETE FROM blocks")
        earlier.execute("UPDATE items SET last_place = NULL")
        earlier.execute("UPDATE projection SET blocks_place = -1")
    chain.block([("a", 1)], indexed=True)
    goes_on, taken, backfill_blocks = (
        asyncio.Event(),
        asyncio.Queue[Change](),
        store.backfill_blocks,
    )

    async def slow(positions: Sequence[EventPosition], blocks: Mapping[int, Block]) -> None:
        await goes_on.wait()
        await backfill_blocks(positions, blocks)

    monkeypatch.setattr(store, "backfill_blocks", slow)
    runner = projector(chain, store, page=2)
    runner._applied = taken.put_nowait
    running = asyncio.create_task(runner.run(until_caught_up=True))
    while not (await asyncio.wait_for(taken.get(), 20)).events:
        pass
    assert (await store.item("a") or {})["status"] == "processing"
    goes_on.set()
    await running
    assert await store.positions_without_blocks() == []
    assert await store.item("b") == expected
    assert (await store.item("a") or {})["updated_time"] == "time 2"
