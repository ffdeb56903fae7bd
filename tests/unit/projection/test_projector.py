"""The projector between an index that changes under it and a store: each event once, in order."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_backend.errors import (
    IndexUnavailable,
    NodeUnavailable,
    ProjectionUnavailable,
)
from workflow_backend.items import Item
from workflow_backend.projection import projector as module
from workflow_backend.store.base import Change, EventFilter, ItemFilter
from workflow_backend.store.sqlite import SqliteStore

from .fake_index import Chain, projector

items = st.sampled_from(("a", "b", "c", "d", "e", "f"))
block = st.lists(st.tuples(items, st.integers(1, 3)), min_size=1, max_size=5)
answers = st.lists(st.none() | st.none() | st.just("away") | block, max_size=30)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("block"), block, st.booleans()),
        st.tuples(st.just("uncommitted"), block, st.booleans()),
        st.tuples(st.just("project"), answers),
        st.tuples(st.just("project"), answers),
        st.tuples(st.just("restart")),
        st.tuples(st.just("rebuilt"), st.integers(1, 7)),
        st.tuples(st.just("restored"), st.integers(0, 9)),
    ),
    max_size=15,
)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    happenings=happenings,
    page=st.integers(2, 5),
    remembered=st.sampled_from((0, 2, 99)),
    heard=st.booleans(),
)
async def test_projector_applies_each_event_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    happenings: list[tuple[str, object, object]],
    page: int,
    *,
    remembered: int,
    heard: bool,
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", remembered)
    for left in tmp_path.glob("*"):
        left.unlink()
    chain = Chain()
    store = SqliteStore(tmp_path / "p.sqlite3", "c", "con_c")
    await store.prepare()
    runner = projector(chain, store, page, heard=heard)
    for name, *arguments in happenings:
        match name:
            case "block":
                chain.block(*arguments)  # type: ignore[arg-type]
            case "uncommitted":
                chain.commit()
                chain.uncommitted_block(*arguments)  # type: ignore[arg-type]
            case "project":
                (chain.answers,) = arguments  # type: ignore[assignment]
                with suppress(NodeUnavailable, IndexUnavailable):
                    await runner.run(until_caught_up=True)
                chain.answers = []
            case "restart":
                await store.close()
                store = SqliteStore(tmp_path / "p.sqlite3", "c", "con_c")
                runner = projector(chain, store, page, heard=heard)
            case "rebuilt":
                (chain.step,) = arguments  # type: ignore[assignment]
            case "restored":
                chain.indexed = min(chain.indexed, *arguments)  # type: ignore[call-overload]
        listed = (await store.events(EventFilter(), 1_000)).rows
        ids = [str(each.position) for each in chain.all_events]
        assert [row["event_id"] for row in reversed(listed)] == ids[: len(listed)]
    chain.commit()
    chain.indexed = chain.height
    await runner.run(until_caught_up=True)
    listed = (await store.events(EventFilter(), 1_000)).rows
    assert [row["event_id"] for row in reversed(listed)] == [
        str(e.position) for e in chain.all_events
    ]
    rows = (await store.items(ItemFilter(), 1_000)).rows
    last = {each.item_id: each.position.height for each in chain.all_events}
    assert {row["item_id"]: row["updated_time"] for row in rows} == {
        item_id: f"time {height}" for item_id, height in last.items()
    }
    records = [{name: row[name] for name in Item.__slots__} for row in rows]
    assert {row["item_id"]: row for row in records} == {
        item_id: record.as_dict() for item_id, record in chain.records.items()
    }
    assert all(number == there for number, there in (await store.audit_counts()).values())
    await store.close()


async def test_projector_reads_item_of_several_pages_once(store: SqliteStore) -> None:
    chain = Chain()
    for _ in range(3):
        chain.block([(f"i{number}", 1) for number in range(20)], indexed=True)
    runner = projector(chain, store, page=5)
    await runner.run(until_caught_up=True)
    assert (await store.counts())["completed"] == 20
    assert chain.reads == 20


async def test_projector_rereads_unwritten_records(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Chain()
    chain.block([("a", 3)], indexed=True)
    runner = projector(chain, store, page=5)
    with monkeypatch.context() as full:

        async def fail(_: Change) -> None:
            raise ProjectionUnavailable("the disk is full")

        full.setattr(store, "apply", fail)
        with pytest.RaisesGroup(ProjectionUnavailable):
            await runner.run()
    await runner.run(until_caught_up=True)
    assert (await store.counts())["completed"] == 1


async def test_height_covers_applied_events_only(store: SqliteStore) -> None:
    chain = Chain()
    for number in range(9):
        chain.block([(f"i{number}", 3)], indexed=True)
    heights: list[int] = []

    def applied(change: Change) -> None:
        heights.append(change.height)

    runner = projector(chain, store, page=2)
    runner._applied = applied
    await runner.run(until_caught_up=True)
    assert heights == sorted(heights)
    assert heights[0] < 3
    assert heights[-1] == (await store.progress()).height == 9


async def test_projector_waits_for_index_below_cursor(store: SqliteStore) -> None:
    chain = Chain()
    chain.block([("a", 1)], indexed=True)
    chain.block([("a", 1)], indexed=True)
    runner = projector(chain, store, page=5)
    await runner.run(until_caught_up=True)
    chain.indexed = 1
    with pytest.RaisesGroup(
        pytest.RaisesExc(IndexUnavailable, match="index is at height 1, what was read .* at 2")
    ):
        await runner.run()


async def test_projector_refuses_index_of_another_state(store: SqliteStore) -> None:
    chain = Chain()
    chain.block([("a", 1)], indexed=True)
    chain.records.clear()
    with pytest.RaisesGroup(pytest.RaisesExc(IndexUnavailable, match="items that the chain does")):
        await projector(chain, store, page=5).run()
    assert (await store.progress()).last_event_id is None


async def test_projector_continues_with_next_block(store: SqliteStore) -> None:
    chain = Chain()
    taken = asyncio.Queue[Change]()
    runner = projector(chain, store, page=5)
    runner._applied = taken.put_nowait
    running = asyncio.create_task(runner.run())
    for _ in range(2):
        chain.block([("a", 1)], indexed=True)
        while not (await asyncio.wait_for(taken.get(), 10)).events:
            pass
    running.cancel()
    await asyncio.wait({running})
    assert (await store.item("a") or {})["status"] == "processing"
