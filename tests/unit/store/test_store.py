"""The projection's store, in each database: pages in, lists out, and a page twice is once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.chain.events import Cursor
from workflow_backend.errors import ProjectionMismatch, ProjectionMoved, ProjectionUnavailable
from workflow_backend.items import START, Place
from workflow_backend.store import sqlite
from workflow_backend.store.base import EventFilter, ItemFilter, Whose, WritableStore

from .databases import Database, everything
from .records import CHAIN, CONTRACT, block, change, event, first_page, item

ALL = ItemFilter()
EVERY = EventFilter()


async def ids(store: WritableStore, which: ItemFilter = ALL) -> list[str]:
    return [row["item_id"] for row in (await store.items(which)).rows]


async def test_a_page_applied_twice_leaves_the_same_rows(store: WritableStore) -> None:
    page = first_page(event(1, "a"), event(2, "b"), items=[item("a"), item("b")])
    assert await store.apply(page) is True
    first = await everything(store)
    assert await store.apply(page) is False, "what was read for it is not in the rows"
    assert await everything(store) == first
    assert await ids(store) == ["b", "a"]
    assert [row["id"] for row in (await store.events(EVERY)).rows] == ["2-1-2", "1-1-2"]
    assert await store.cursor() == page.cursor
    position = await store.position()
    assert (position.height, position.last_event) == (2, "2-1-2")


async def test_an_item_keeps_its_rank_when_it_changes(store: WritableStore) -> None:
    await store.apply(first_page(event(1, "a"), event(2, "b"), items=[item("a"), item("b")]))
    done = item("a", status="completed")
    await store.apply(change(Place(2, 1, 2), [event(3, "a", "ItemCompleted")], [done]))
    assert await ids(store) == ["b", "a"]
    assert await ids(store, ItemFilter(status="completed")) == ["a"]
    assert await store.counts() == {
        "submitted": 1,
        "processing": 0,
        "completed": 1,
        "failed": 0,
        "cancelled": 0,
    }
    told = (await store.events(EventFilter(item_id="a"))).rows
    assert [row["event"] for row in told] == ["ItemCompleted", "ItemSubmitted"]


async def test_a_projected_item_has_the_contracts_fields(store: WritableStore) -> None:
    await store.apply(first_page(event(1, "a"), items=[item("a")]))
    times = {"created_time": block(1).time, "updated_time": block(1).time}
    assert await store.item("a") == item("a").as_dict() | times
    assert await store.item("b") is None


async def test_an_event_tells_its_items_kind_and_requester(store: WritableStore) -> None:
    claimed = event(1, "a", "ItemClaimed", worker="w" * 64)
    await store.apply(first_page(claimed, items=[item("a", kind="mail", client="shop")]))
    (row,) = (await store.events(EVERY)).rows
    assert row == {
        "id": "1-1-2",
        "block_height": 1,
        "event": "ItemClaimed",
        "item_id": "a",
        "kind": "mail",
        "requester": "a" * 64,
        "client": "shop",
        "worker": "w" * 64,
        "data": {"item_id": "a", "worker": "w" * 64},
        "tx_hash": "AB",
        "created_at": "2026-01-01 00:00:01",
        "time": "2026-01-01T00:00:02.000000Z",
        "cursor": Place(1, 1, 2).cursor(CHAIN, CONTRACT, block(1).hash),
    }


async def test_items_of_a_client_are_counted_apart(store: WritableStore) -> None:
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
    await store.apply(change(Place(5, 1, 2), [event(6, "a", "ItemCompleted")], [done]))

    async def counted(whose: Whose | None) -> dict[str, int]:
        return {status: number for status, number in (await store.counts(whose)).items() if number}

    assert await counted(None) == {"submitted": 4, "completed": 1}
    assert await counted(Whose("shop", (ours,))) == {"submitted": 1, "completed": 1}
    assert await counted(Whose("shop", (ours, theirs))) == {"submitted": 2, "completed": 1}
    assert await counted(Whose("none", (ours, theirs))) == {}
    assert all(counted == found for counted, found in (await store.recount()).values())


async def test_count_of_a_client_reads_nothing_of_others(
    store: WritableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may submit under a client's word, from as many wallets as it likes."""
    made = [item(f"i{n}", client="shop", requester=f"{n:064x}") for n in range(50)]
    told = [event(1 + number, each.item_id) for number, each in enumerate(made)]
    await store.apply(first_page(*told, items=made))
    fetch = store._fetch  # type: ignore[attr-defined]
    read: list[int] = []

    async def counted(sql: str, *values: Any) -> Any:
        rows = await fetch(sql, *values)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(store, "_fetch", counted)
    counts = await store.counts(Whose("shop", (made[7].requester,)))
    assert (counts["submitted"], read) == (1, [1])


async def test_a_page_that_fails_leaves_nothing(store: WritableStore) -> None:
    broken = replace(item("a"), payload_uri=None)  # type: ignore[arg-type]
    before = await everything(store)
    with pytest.raises(Exception, match="payload_uri"):
        await store.apply(first_page(event(1, "a"), items=[broken]))
    assert await everything(store) == before
    assert await store.cursor() == Cursor()


async def test_an_older_page_puts_no_older_record_over_a_newer(store: WritableStore) -> None:
    stale = first_page(event(1, "a"), items=[item("a")])
    await store.apply(first_page(event(1, "a"), items=[item("a", status="processing")]))
    done = item("a", status="completed")
    await store.apply(change(Place(1, 1, 2), [event(2, "a", "ItemCompleted")], [done]))
    await store.apply(stale)
    assert await ids(store, ItemFilter(status="completed")) == ["a"]


async def test_a_page_that_leaves_events_out_is_refused(store: WritableStore) -> None:
    with pytest.raises(ProjectionMoved, match=r"-1-.*5-1-2"):
        await store.apply(change(Place(5, 1, 2), [event(6, "b")], [item("b")]))
    await store.apply(first_page(event(1, "a"), event(2, "b"), items=[item("a"), item("b")]))
    overlapping = change(Place(1, 1, 2), [event(2, "b"), event(3, "c")], [item("b"), item("c")])
    with pytest.raises(ProjectionMoved):
        await store.apply(overlapping)
    assert await ids(store) == ["b", "a"]


async def test_the_height_goes_on_without_events_and_never_back(store: WritableStore) -> None:
    await store.apply(change(START, [], [], height=7))
    assert (await store.position()).height == 7
    assert (await store.position()).last_event is None
    await store.apply(change(START, [], [], height=5))
    assert (await store.position()).height == 7


async def test_a_projection_of_another_chain_or_contract_is_refused(
    store: WritableStore, database: Database
) -> None:
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


async def test_reading_before_there_is_a_projection_says_so(database: Database) -> None:
    reader = database.store()
    with pytest.raises(ProjectionUnavailable):
        await reader.counts()
    writer = database.store()
    await writer.prepare()
    assert sum((await reader.counts()).values()) == 0
    await reader.close()
    await writer.close()


async def test_readers_see_a_whole_page_while_the_writer_goes_on(
    store: WritableStore, database: Database
) -> None:
    reader = database.store()
    await store.apply(first_page(event(1, "a"), items=[item("a")]))
    assert (await reader.counts())["submitted"] == 1
    await store.apply(change(Place(1, 1, 2), [event(2, "b")], [item("b")]))
    assert (await reader.counts())["submitted"] == 2
    await reader.close()


async def test_write_ahead_log_shrinks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WAL_BYTES", 1_000_000)
    path = tmp_path / "projection.sqlite3"
    store = sqlite.SqliteStore(path, CHAIN, CONTRACT)
    await store.prepare()
    names = [f"i-{number}" for number in range(4_000)]
    events = [event(1 + number, name) for number, name in enumerate(names)]
    await store.apply(change(START, events, [item(name) for name in names]))
    log = path.with_name(f"{path.name}-wal")
    assert log.stat().st_size > 4_096_000
    since = events[-1].place
    for number in range(4_001, 4_004):
        page = change(since, [event(number, f"i-{number}")], [item(f"i-{number}")])
        await store.apply(page)
        since = page.cursor.place
    assert log.stat().st_size <= 1_000_000
    await store.close()
