"""The projection's store: pages in, lists out, and a page twice is a page once."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from workflow_backend.chain.events import Cursor
from workflow_backend.errors import ProjectionMismatch, ProjectionUnavailable
from workflow_backend.items import Event, Item, Place
from workflow_backend.store.sqlite import SqliteStore

CONTRACT = "con_job_workflow"


def item(item_id: str, status: str = "submitted") -> Item:
    return Item(
        item_id=item_id,
        requester="a" * 64,
        kind="job",
        payload_uri="x",
        metadata_ref="",
        status=status,
        worker="",
        result_uri="",
        failure_reason="",
        created_at="2026-01-01 00:00:00",
        updated_at="2026-01-01 00:00:00",
        attempt=0,
        lease_seconds=0,
        contested_at=None,
    )


def event(height: int, item_id: str, name: str = "ItemSubmitted") -> Event:
    return Event(Place(height, 1, 2), name, {"item_id": item_id}, "AB", "2026-01-01", height)


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore.for_writing(tmp_path / "p.sqlite3", "chain-1", CONTRACT)


def test_a_page_applied_twice_leaves_the_same_rows(store: SqliteStore) -> None:
    cursor = Cursor(Place(2, 1, 2), {"ItemSubmitted": (2, Place(2, 1, 2))})
    page = ([event(1, "a"), event(2, "b")], [item("a"), item("b")], cursor, 3)
    store.apply(*page)
    first = (store.items(None, 10, 0), store.events(None, 10), store.counts(), store.cursor())
    store.apply(*page)
    again = (store.items(None, 10, 0), store.events(None, 10), store.counts(), store.cursor())
    assert first == again
    assert [row["item_id"] for row in first[0]] == ["b", "a"]
    assert [row["id"] for row in first[1]] == ["2-1-2", "1-1-2"]
    assert store.cursor() == cursor
    assert store.position()["height"] == 3
    assert store.position()["last_event"] == "2-1-2"


def test_an_item_keeps_its_rank_when_it_changes(store: SqliteStore) -> None:
    store.apply([event(1, "a"), event(2, "b")], [item("a"), item("b")], Cursor(), 2)
    store.apply([event(3, "a", "ItemCompleted")], [item("a", "completed")], Cursor(), 3)
    assert [row["item_id"] for row in store.items(None, 10, 0)] == ["b", "a"]
    assert [row["item_id"] for row in store.items("completed", 10, 0)] == ["a"]
    assert [row["item_id"] for row in store.items(None, 1, 1)] == ["a"]
    assert store.counts()["completed"] == 1
    assert [row["event"] for row in store.events("a", 10)] == ["ItemCompleted", "ItemSubmitted"]


def test_a_projected_item_has_the_contracts_fields(store: SqliteStore) -> None:
    store.apply([event(1, "a")], [item("a")], Cursor(), 1)
    assert store.item("a") == item("a").as_dict()
    assert store.item("b") is None


def test_a_page_that_fails_leaves_nothing(store: SqliteStore) -> None:
    broken = replace(item("a"), kind=None)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        store.apply([event(1, "a")], [broken], Cursor(Place(1, 1, 2)), 1)
    assert store.events(None, 10) == []
    assert store.cursor() == Cursor()


def test_a_projection_of_another_chain_or_contract_is_refused(
    store: SqliteStore, tmp_path: Path
) -> None:
    store.require("chain-1", CONTRACT)
    with pytest.raises(ProjectionMismatch, match=r"chain-1.*chain-2"):
        SqliteStore.for_writing(tmp_path / "p.sqlite3", "chain-2", CONTRACT)
    with pytest.raises(ProjectionMismatch, match=r"con_job_workflow.*con_other"):
        SqliteStore.for_writing(tmp_path / "p.sqlite3", "chain-1", "con_other")


def test_reading_before_there_is_a_projection_says_so(tmp_path: Path) -> None:
    with pytest.raises(ProjectionUnavailable, match=r"none\.sqlite3"):
        SqliteStore(tmp_path / "none.sqlite3").counts()
    assert not (tmp_path / "none.sqlite3").exists()


def test_readers_see_a_whole_page_while_the_writer_goes_on(
    store: SqliteStore, tmp_path: Path
) -> None:
    reader = SqliteStore(tmp_path / "p.sqlite3")
    store.apply([event(1, "a")], [item("a")], Cursor(), 1)
    assert reader.counts()["submitted"] == 1
    store.apply([event(2, "b")], [item("b")], Cursor(), 2)
    assert reader.counts()["submitted"] == 2
