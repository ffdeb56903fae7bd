"""The projection's store, in each database: pages in, lists out, and a page twice is once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.chain.events import Cursor
from workflow_backend.errors import (
    BadCursor,
    ProjectionMismatch,
    ProjectionMoved,
    ProjectionUnavailable,
)
from workflow_backend.items import START, EventPosition
from workflow_backend.store import sqlite
from workflow_backend.store.base import ClientScope, EventFilter, ItemFilter, WritableStore

from .databases import Database, everything
from .records import CHAIN, CONTRACT, at, block, change, event, first_page, item

ALL = ItemFilter()
EVERY = EventFilter()


async def ids(store: WritableStore, which: ItemFilter = ALL) -> list[str]:
    return [row["item_id"] for row in (await store.items(which)).rows]


async def test_apply_is_idempotent(store: WritableStore) -> None:
    page = first_page(event(1, "a"), event(2, "b"), items=[item("a"), item("b")])
    assert await store.apply(page) is True
    first = await everything(store)
    assert await store.apply(page) is False, "what was read for it is not in the rows"
    assert await everything(store) == first
    assert await ids(store) == ["b", "a"]
    assert [row["event_id"] for row in (await store.events(EVERY)).rows] == ["2-1-2", "1-1-2"]
    assert await store.cursor() == page.cursor
    progress = await store.progress()
    assert (progress.height, progress.last_event_id) == (2, "2-1-2")


async def test_changed_item_keeps_its_rank(store: WritableStore) -> None:
    await store.apply(first_page(event(1, "a"), event(2, "b"), items=[item("a"), item("b")]))
    done = item("a", status="completed")
    await store.apply(change(EventPosition(2, 1, 2), [event(3, "a", "ItemCompleted")], [done]))
    assert await ids(store) == ["b", "a"]
    assert await ids(store, ItemFilter(status="completed")) == ["a"]
    assert await store.counts() == {
        "submitted": 1,
        "processing": 0,
        "completed": 1,
        "failed": 0,
        "cancelled": 0,
        "archived": 0,
    }
    rows = (await store.events(EventFilter(item_id="a"))).rows
    assert [row["event_name"] for row in rows] == ["ItemCompleted", "ItemSubmitted"]


async def test_item_row_has_contract_fields(store: WritableStore) -> None:
    await store.apply(first_page(event(1, "a"), items=[item("a")]))
    assert await store.item("a") == item("a").as_dict() | {
        "created_time": block(1).time,
        "updated_time": block(1).time,
        "last_event_id": "1-1-2",
        "blocked_by": (),
    }
    assert await store.item("b") is None


async def test_event_row_has_kind_and_requester(store: WritableStore) -> None:
    claimed = event(1, "a", "ItemClaimed", worker="w" * 64)
    await store.apply(first_page(claimed, items=[item("a", kind="mail", client="shop")]))
    (row,) = (await store.events(EVERY)).rows
    assert row == {
        "event_id": "1-1-2",
        "block_height": 1,
        "event_name": "ItemClaimed",
        "item_id": "a",
        "kind": "mail",
        "requester": "a" * 64,
        "client": "shop",
        "worker": "w" * 64,
        "data": {"item_id": "a", "worker": "w" * 64},
        "tx_hash": "AB",
        "created_at": "2026-01-01 00:00:01",
        "time": "2026-01-01T00:00:02.000000Z",
        "cursor": EventPosition(1, 1, 2).cursor(CHAIN, CONTRACT, block(1).hash),
    }


async def test_counts_are_kept_by_client(store: WritableStore) -> None:
    ours, theirs = "a" * 64, "b" * 64
    items = [
        item("a", client="shop", requester=ours),
        item("b", client="shop", requester=theirs),
        item("c", client="shop", requester=ours),
        item("d", client="mail", requester=ours),
        item("e"),
    ]
    await store.apply(
        first_page(*(event(n, each.item_id) for n, each in enumerate(items, 1)), items=items)
    )
    done = replace(items[0], status="completed")
    await store.apply(change(EventPosition(5, 1, 2), [event(6, "a", "ItemCompleted")], [done]))

    async def counted(scope: ClientScope | None) -> dict[str, int]:
        return {status: number for status, number in (await store.counts(scope)).items() if number}

    assert await counted(None) == {"submitted": 4, "completed": 1}
    assert await counted(ClientScope("shop", (ours,))) == {"submitted": 1, "completed": 1}
    assert await counted(ClientScope("shop", (ours, theirs))) == {"submitted": 2, "completed": 1}
    assert await counted(ClientScope("none", (ours, theirs))) == {}
    assert all(counted == found for counted, found in (await store.audit_counts()).values())


async def test_store_counts_events_and_those_of_a_client(store: WritableStore) -> None:
    ours = "a" * 64
    items = [item("a", client="shop", requester=ours), item("b")]
    await store.apply(first_page(event(1, "a"), event(2, "b"), items=items))
    await store.apply(change(EventPosition(2, 1, 2), [event(3, "a", "ItemClaimed")], [items[0]]))
    owners = (
        None,
        ClientScope("shop", (ours,)),
        ClientScope("shop", ("b" * 64,)),
        ClientScope("none", (ours,)),
    )
    assert [await store.event_count(scope) for scope in owners] == [3, 2, 0, 0]
    await store.rebuild_counts()
    assert [await store.event_count(scope) for scope in owners] == [3, 2, 0, 0]


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (ALL, ["e", "d", "c", "b", "a"]),
        (ItemFilter(updated_from=at(0)), ["b", "e", "d", "c", "a"]),
        (ItemFilter(id_prefix=""), ["a", "b", "c", "d", "e"]),
    ],
)
async def test_store_goes_on_behind_an_item_by_its_event(
    store: WritableStore, which: ItemFilter, expected: list[str]
) -> None:
    names = "abcde"
    events = [event(number, name) for number, name in enumerate(names, 1)]
    await store.apply(first_page(*events, items=[item(name) for name in names]))
    await store.apply(change(EventPosition(5, 1, 2), [event(6, "b", "ItemClaimed")], [item("b")]))
    rows = (await store.items(which, 2)).rows
    # An item of the first page changes before the second is read.
    moved = rows[0]["item_id"]
    await store.apply(
        change(EventPosition(6, 1, 2), [event(7, moved, "ItemClaimed")], [item(moved)])
    )
    while True:
        before = EventPosition.parse(rows[-1]["last_event_id"])
        page = (await store.items(which, 2, before_event=before)).rows
        if not page:
            break
        rows += page
    assert [row["item_id"] for row in rows] == expected
    with pytest.raises(BadCursor):
        await store.items(which, 2, before_event=EventPosition(9, 0, 0))


async def test_store_goes_on_behind_an_event(store: WritableStore) -> None:
    events = [event(number, f"i-{number}") for number in range(1, 6)]
    await store.apply(first_page(*events, items=[item(f"i-{number}") for number in range(1, 6)]))
    rows = (await store.events(EVERY, 2)).rows
    while page := (
        await store.events(EVERY, 2, before=EventPosition.parse(rows[-1]["event_id"]))
    ).rows:
        rows += page
    assert [row["block_height"] for row in rows] == [5, 4, 3, 2, 1]


async def test_client_counts_read_no_foreign_rows(
    store: WritableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may submit under a client's word, from as many wallets as it likes."""
    made = [item(f"i{n}", client="shop", requester=f"{n:064x}") for n in range(50)]
    events = [event(1 + number, each.item_id) for number, each in enumerate(made)]
    await store.apply(first_page(*events, items=made))
    fetch = store._fetch  # type: ignore[attr-defined]
    read: list[int] = []

    async def counted(sql: str, *values: Any) -> Any:
        rows = await fetch(sql, *values)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(store, "_fetch", counted)
    counts = await store.counts(ClientScope("shop", (made[7].requester,)))
    assert (counts["submitted"], read) == (1, [1])


async def test_failed_apply_writes_nothing(store: WritableStore) -> None:
    broken = replace(item("a"), payload_uri=None)  # type: ignore[arg-type]
    before = await everything(store)
    with pytest.raises(Exception, match="payload_uri"):
        await store.apply(first_page(event(1, "a"), items=[broken]))
    assert await everything(store) == before
    assert await store.cursor() == Cursor()


async def test_older_page_keeps_newer_record(store: WritableStore) -> None:
    stale = first_page(event(1, "a"), items=[item("a")])
    await store.apply(first_page(event(1, "a"), items=[item("a", status="processing")]))
    done = item("a", status="completed")
    await store.apply(change(EventPosition(1, 1, 2), [event(2, "a", "ItemCompleted")], [done]))
    await store.apply(stale)
    assert await ids(store, ItemFilter(status="completed")) == ["a"]


async def test_page_with_a_gap_is_refused(store: WritableStore) -> None:
    with pytest.raises(ProjectionMoved, match=r"-1-.*5-1-2"):
        await store.apply(change(EventPosition(5, 1, 2), [event(6, "b")], [item("b")]))
    await store.apply(first_page(event(1, "a"), event(2, "b"), items=[item("a"), item("b")]))
    overlapping = change(
        EventPosition(1, 1, 2), [event(2, "b"), event(3, "c")], [item("b"), item("c")]
    )
    with pytest.raises(ProjectionMoved):
        await store.apply(overlapping)
    assert await ids(store) == ["b", "a"]


async def test_height_advances_without_events(store: WritableStore) -> None:
    await store.apply(change(START, [], [], height=7))
    assert (await store.progress()).height == 7
    assert (await store.progress()).last_event_id is None
    await store.apply(change(START, [], [], height=5))
    assert (await store.progress()).height == 7


async def test_foreign_projection_is_refused(store: WritableStore, database: Database) -> None:
    await store.apply(first_page(event(1, "a"), items=[item("a")]))
    for chain, contract in (("chain-2", CONTRACT), (CHAIN, "con_other")):
        other = database.store(chain, contract)
        with pytest.raises(
            ProjectionMismatch, match=rf"{CONTRACT} on {CHAIN}.*{contract} on {chain}"
        ):
            await other.prepare()
        with pytest.raises(ProjectionMismatch):
            await other.item("a")
        await other.close()


async def test_missing_projection_is_named(database: Database) -> None:
    reader = database.store()
    with pytest.raises(ProjectionUnavailable):
        await reader.counts()
    writer = database.store()
    await writer.prepare()
    assert sum((await reader.counts()).values()) == 0
    await reader.close()
    await writer.close()


async def test_readers_see_whole_pages(store: WritableStore, database: Database) -> None:
    reader = database.store()
    await store.apply(first_page(event(1, "a"), items=[item("a")]))
    assert (await reader.counts())["submitted"] == 1
    await store.apply(change(EventPosition(1, 1, 2), [event(2, "b")], [item("b")]))
    assert (await reader.counts())["submitted"] == 2
    await reader.close()


async def test_write_ahead_log_shrinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WAL_BYTES", 1_000_000)
    path = tmp_path / "projection.sqlite3"
    store = sqlite.SqliteStore(path, CHAIN, CONTRACT)
    await store.prepare()
    names = [f"i-{number}" for number in range(4_000)]
    events = [event(1 + number, name) for number, name in enumerate(names)]
    await store.apply(change(START, events, [item(name) for name in names]))
    log = path.with_name(f"{path.name}-wal")
    assert log.stat().st_size > 4_096_000
    since = events[-1].position
    for number in range(4_001, 4_004):
        page = change(since, [event(number, f"i-{number}")], [item(f"i-{number}")])
        await store.apply(page)
        since = page.cursor.position
    assert log.stat().st_size <= 1_000_000
    await store.close()
