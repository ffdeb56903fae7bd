"""The comparison of a projection with its chain: what it mends, and what it lets be."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_backend.chain.index_answers import RecentEvents
from workflow_backend.items import START, Event, Item
from workflow_backend.projection import event_diff
from workflow_backend.projection import scrub as module
from workflow_backend.projection.scrub import Scrubber
from workflow_backend.store.sqlite import SqliteStore

from ..store.records import CHAIN, CONTRACT, change, event, item

ITEMS = [item("a", client="shop"), item("b", 2, "completed"), item("c", 3)]
EVENTS = [event(number, each.item_id) for number, each in enumerate(ITEMS, 1)]


class Node:
    """A chain with these records; and blocks up to the projection's last."""

    def __init__(self, *records: Item) -> None:
        self.records = {record.item_id: record for record in records}
        self.height = 3
        self.index = list(EVENTS)

    async def status(self) -> Any:
        return SimpleNamespace(height=self.height)

    async def items(self, ids: Sequence[str]) -> list[Item | None]:
        return [self.records.get(item_id) for item_id in ids]

    async def item(self, item_id: str) -> Item | None:
        return self.records.get(item_id)

    async def indexed_height(self) -> int:
        return self.height

    async def events(self, name: str, after_id: int, limit: int) -> list[Event]:
        found = [each for each in self.index if each.name == name and each.index_id > after_id]
        return found[:limit]

    async def recent_events(self, limit: int) -> RecentEvents:
        return RecentEvents(self.index[-limit:], [each.position for each in self.index], START)

    async def item_ids(self, after: str, limit: int) -> tuple[list[str], bool]:
        ids = sorted(item_id for item_id in self.records if item_id > after)
        return ids[:limit], len(ids) > limit


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(module, "CATCH_UP_SECONDS", 0.0)
    store = SqliteStore(tmp_path / "p.sqlite3", CHAIN, CONTRACT)
    await store.prepare()
    await store.apply(change(START, EVENTS, ITEMS))
    yield store
    await store.close()


def edit(tmp_path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "p.sqlite3")) as database, database:
        database.execute(statement)


async def one_round(node: Node, store: SqliteStore) -> dict[str, Any]:
    on_progress: list[dict[str, Any]] = []
    await Scrubber(node, store, on_progress.append).round()  # type: ignore[arg-type]
    return on_progress[-1]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE items SET status = 'failed' WHERE item_id = 'a'",
        "UPDATE items SET attempt = 7, worker = 'x' WHERE item_id = 'b'",
        "DELETE FROM items WHERE item_id = 'c'",
    ],
)
async def test_scrubber_repairs_wrong_row(
    store: SqliteStore, tmp_path: Path, statement: str
) -> None:
    expected = [await store.item(each.item_id) for each in ITEMS]
    edit(tmp_path, statement)
    assert [await store.item(each.item_id) for each in ITEMS] != expected
    on_progress = await one_round(Node(*ITEMS), store)
    assert [await store.item(each.item_id) for each in ITEMS] == expected
    assert on_progress["unrepairable"] == ""
    assert on_progress["repaired"] >= 1
    assert (on_progress["compared"], on_progress["rounds"]) == (3, 1)
    assert all(counted == there for counted, there in (await store.audit_counts()).values())


async def test_scrubber_recomputes_wrong_counts(store: SqliteStore, tmp_path: Path) -> None:
    edit(tmp_path, "UPDATE counts SET number = 9 WHERE status = 'submitted'")
    edit(tmp_path, "UPDATE client_counts SET number = 9")
    edit(tmp_path, "UPDATE event_counts SET number = 9")
    await one_round(Node(*ITEMS), store)
    assert (await store.counts())["submitted"] == 2
    assert all(counted == there for counted, there in (await store.audit_counts()).values())


@pytest.mark.parametrize("ahead", [1, 6])
async def test_scrubber_ignores_rows_that_lag(store: SqliteStore, ahead: int) -> None:
    before = await store.item("a")
    node = Node(
        replace(ITEMS[0], status="processing", updated_at="2026-01-01 00:00:09"), *ITEMS[1:]
    )
    # The block that did it is not projected yet: the newest waits for the header behind it.
    node.height = 3 + ahead
    on_progress = await one_round(node, store)
    assert await store.item("a") == before
    assert (on_progress["repaired"], on_progress["unrepairable"]) == (0, "")


async def test_scrubber_ignores_a_node_that_lags(store: SqliteStore) -> None:
    """Another host's projector writes the same projection from a node that is further."""
    before = [await store.item(each.item_id) for each in ITEMS]
    node = Node(ITEMS[0], replace(ITEMS[1], status="processing"))  # and no item c yet
    node.height = 2
    on_progress = await one_round(node, store)
    assert [await store.item(each.item_id) for each in ITEMS] == before
    assert (on_progress["repaired"], on_progress["unrepairable"]) == (0, "")


async def test_scrubber_names_unrepairable_item(store: SqliteStore, tmp_path: Path) -> None:
    node = Node(*ITEMS[1:])
    assert (await one_round(node, store))["unrepairable"] == "a"
    edit(tmp_path, "UPDATE items SET requester = 'x' WHERE item_id = 'b'")
    assert (await one_round(Node(*ITEMS), store))["unrepairable"] == "b"


@pytest.mark.parametrize("page", [2, 200])
async def test_scrubber_names_item_of_a_missing_event(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """The index has mended a gap since, or an earlier release did not know the event."""
    monkeypatch.setattr(event_diff, "PAGE", page)
    edit(tmp_path, "DELETE FROM events WHERE item_id = 'b'")
    assert (await one_round(Node(*ITEMS), store))["unrepairable"] == "b"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE items SET requester = 'x' WHERE item_id = 'b'",
        "DELETE FROM events WHERE item_id = 'b'",
    ],
)
async def test_scrubber_forgets_within_a_page_what_a_rebuild_has_put_right(
    store: SqliteStore, tmp_path: Path, statement: str
) -> None:
    """A round over a long history takes hours, and health would be red meanwhile."""
    progress: list[dict[str, Any]] = []
    scrubber = Scrubber(Node(*ITEMS), store, progress.append)  # type: ignore[arg-type]
    edit(tmp_path, statement)
    await scrubber.round()
    assert progress.pop()["unrepairable"] == "b"
    async with store.rebuilding() as fresh:
        await fresh.apply(change(START, EVENTS, ITEMS))
    del progress[:]
    await scrubber.round()
    assert [each["unrepairable"] for each in progress] == [""] * len(progress)


async def test_scrubber_judges_no_event_that_the_index_or_the_projection_has_not_reached(
    store: SqliteStore,
) -> None:
    node = Node(*ITEMS)
    node.index = [*EVENTS[1:], event(4, "a", "ItemClaimed")]
    assert (await one_round(node, store))["unrepairable"] == ""


async def test_scrubber_continues_after_occupied_position(
    store: SqliteStore, tmp_path: Path
) -> None:
    edit(tmp_path, "UPDATE items SET item_id = 'z' WHERE item_id = 'a'")
    edit(tmp_path, "UPDATE items SET status = 'failed' WHERE item_id = 'b'")
    on_progress = await one_round(Node(*ITEMS), store)
    assert (on_progress["unrepairable"], on_progress["rounds"]) == ("z", 1)
    assert (await store.item("b") or {})["status"] == "completed"


async def test_repair_keeps_newer_row(store: SqliteStore) -> None:
    seen = await store.item("a")
    newer = replace(ITEMS[0], status="processing", updated_at="2026-01-01 00:00:04")
    await store.apply(
        change((await store.cursor()).position, [event(4, "a", "ItemClaimed")], [newer])
    )
    assert await store.repair(replace(ITEMS[0], status="failed"), seen)
    assert (await store.item("a") or {})["status"] == "processing"
