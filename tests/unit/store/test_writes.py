"""Several parts of one process write to a projection: each write is a transaction of its own."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.items import START, EventPosition
from workflow_backend.store import changes
from workflow_backend.store.base import EventFilter, WritableStore
from workflow_backend.store.sqlite import SqliteStore

from .records import CHAIN, CONTRACT, change, event, item


async def test_write_waits_for_another_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path / "p.sqlite3", CHAIN, CONTRACT)
    await store.prepare()
    loop, apply_statements = asyncio.get_running_loop(), changes.apply_statements
    others: list[Future[None]] = []

    def taken_in(*given: Any) -> Iterator[Any]:
        # In the middle of this transaction the comparison with the chain counts anew.
        others.append(asyncio.run_coroutine_threadsafe(store.rebuild_counts(), loop))
        wait(others, timeout=0.5)
        yield from apply_statements(*given)

    monkeypatch.setattr(changes, "apply_statements", taken_in)
    assert await store.apply(change(START, [event(1, "a")], [item("a")]))
    await asyncio.wrap_future(others[0])
    assert (await store.counts())["submitted"] == 1
    assert all(counted == there for counted, there in (await store.audit_counts()).values())
    await store.close()


async def test_transaction_with_many_events_takes_no_place_of_another(
    store: WritableStore,
) -> None:
    """An event without fields writes nothing: a contract may emit any number in a transaction."""
    flood = [
        replace(event(1, f"flood-{n}"), position=EventPosition(1, 0, n)) for n in (0x10002, 70_000)
    ]
    own = event(1, "own", tx=1)  # it is the third event of the transaction behind
    items = [item(each.data["item_id"]) for each in (*flood, own)]
    assert await store.apply(change(START, [*flood, own], items))
    (found,) = (await store.events(EventFilter(item_id="own"), 10)).rows
    assert (found["event_id"], found["item_id"]) == ("1-1-2", "own")
    assert await store.item("own") is not None
    assert len(await store.events_after(START, 10)) == 2  # the flood has its last place
    later = change(own.position, [event(2, "own", "ItemCancelled")], [item("own", 2, "cancelled")])
    assert await store.apply(later)
    assert (await store.counts())["cancelled"] == 1
