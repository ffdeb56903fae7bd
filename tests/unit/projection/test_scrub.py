"""The comparison of a projection with its chain: what it mends, and what it lets be."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_backend.items import START, Item
from workflow_backend.projection import scrub as module
from workflow_backend.projection.scrub import Scrub
from workflow_backend.store.sqlite import SqliteStore

from ..store.records import CHAIN, CONTRACT, change, event, item


class Node:
    """A chain with these records; and blocks up to the projection's last."""

    def __init__(self, *records: Item) -> None:
        self.records = {record.item_id: record for record in records}
        self.height = 3

    async def status(self) -> Any:
        return SimpleNamespace(height=self.height)

    async def items(self, ids: Sequence[str]) -> list[Item | None]:
        return [self.records.get(item_id) for item_id in ids]

    async def item(self, item_id: str) -> Item | None:
        return self.records.get(item_id)

    async def item_ids(self, after: str, limit: int) -> tuple[list[str], bool]:
        ids = sorted(item_id for item_id in self.records if item_id > after)
        return ids[:limit], len(ids) > limit


ITEMS = [item("a", client="shop"), item("b", 2, "completed"), item("c", 3)]


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(module, "LEVEL_SECONDS", 0.0)
    store = SqliteStore(tmp_path / "p.sqlite3", CHAIN, CONTRACT)
    await store.prepare()
    events = [event(number, each.item_id) for number, each in enumerate(ITEMS, 1)]
    await store.apply(change(START, events, ITEMS))
    yield store
    await store.close()


def edit(tmp_path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "p.sqlite3")) as database, database:
        database.execute(statement)


async def one_round(node: Node, store: SqliteStore) -> dict[str, Any]:
    told: list[dict[str, Any]] = []
    await Scrub(node, store, told.append).round()  # type: ignore[arg-type]
    return told[-1]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE items SET status = 'failed' WHERE item_id = 'a'",
        "UPDATE items SET attempt = 7, worker = 'x' WHERE item_id = 'b'",
        "DELETE FROM items WHERE item_id = 'c'",
    ],
)
async def test_scrub_mends_a_row_that_is_wrong(
    store: SqliteStore, tmp_path: Path, statement: str
) -> None:
    expected = [await store.item(each.item_id) for each in ITEMS]
    edit(tmp_path, statement)
    assert [await store.item(each.item_id) for each in ITEMS] != expected
    told = await one_round(Node(*ITEMS), store)
    assert [await store.item(each.item_id) for each in ITEMS] == expected
    assert told["unmended"] == ""
    assert told["mended"] >= 1
    assert (told["compared"], told["rounds"]) == (3, 1)
    assert all(counted == there for counted, there in (await store.recount()).values())


async def test_scrub_counts_anew_what_was_counted_wrong(store: SqliteStore, tmp_path: Path) -> None:
    edit(tmp_path, "UPDATE counts SET number = 9 WHERE status = 'submitted'")
    edit(tmp_path, "UPDATE client_counts SET number = 9")
    await one_round(Node(*ITEMS), store)
    assert (await store.counts())["submitted"] == 2
    assert all(counted == there for counted, there in (await store.recount()).values())


@pytest.mark.parametrize("ahead", [1, 6])
async def test_scrub_lets_be_what_is_on_its_way(store: SqliteStore, ahead: int) -> None:
    before = await store.item("a")
    node = Node(
        replace(ITEMS[0], status="processing", updated_at="2026-01-01 00:00:09"), *ITEMS[1:]
    )
    # The block that did it is not projected yet: the newest waits for the header behind it.
    node.height = 3 + ahead
    told = await one_round(node, store)
    assert await store.item("a") == before
    assert (told["mended"], told["unmended"]) == (0, "")


async def test_scrub_names_what_only_a_rebuild_puts_right(
    store: SqliteStore, tmp_path: Path
) -> None:
    node = Node(*ITEMS[1:])
    assert (await one_round(node, store))["unmended"] == "a"
    edit(tmp_path, "UPDATE items SET requester = 'x' WHERE item_id = 'b'")
    assert (await one_round(Node(*ITEMS), store))["unmended"] == "b"


async def test_scrub_goes_on_where_another_row_is_in_the_place_of_one(
    store: SqliteStore, tmp_path: Path
) -> None:
    edit(tmp_path, "UPDATE items SET item_id = 'z' WHERE item_id = 'a'")
    edit(tmp_path, "UPDATE items SET status = 'failed' WHERE item_id = 'b'")
    told = await one_round(Node(*ITEMS), store)
    assert (told["unmended"], told["rounds"]) == ("z", 1)
    assert (await store.item("b") or {})["status"] == "completed"


async def test_mend_lets_a_row_be_that_was_written_since(store: SqliteStore) -> None:
    seen = await store.item("a")
    newer = replace(ITEMS[0], status="processing", updated_at="2026-01-01 00:00:04")
    await store.apply(change((await store.cursor()).place, [event(4, "a", "ItemClaimed")], [newer]))
    assert await store.mend(replace(ITEMS[0], status="failed"), seen)
    assert (await store.item("a") or {})["status"] == "processing"
