"""The projector between an index that changes under it and a store: each event once, in order."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_backend.chain.events import EventReader
from workflow_backend.chain.heads import Heads
from workflow_backend.chain.node import Newest
from workflow_backend.chain.rpc import Rpc
from workflow_backend.errors import IndexUnavailable, NodeUnavailable, ProjectionUnavailable
from workflow_backend.items import START, STATUSES, Event, Item, Place
from workflow_backend.projection import projector as module
from workflow_backend.projection.projector import Projector
from workflow_backend.pulse import Pulse
from workflow_backend.store.base import Change, EventFilter, ItemFilter, WritableStore
from workflow_backend.store.sqlite import SqliteStore

NAMES = ("ItemSubmitted", "ItemClaimed", "ItemCompleted")
SUBMITTED = Item(
    item_id="",
    requester="r",
    kind="job",
    payload_uri="p",
    metadata_ref="",
    client="",
    status="submitted",
    worker="",
    result_uri="",
    failure_reason="",
    created_at="0",
    updated_at="0",
    attempt=0,
    lease_seconds=0,
    contested_at=None,
)


type Answer = str | list[tuple[str, int]] | None


class Chain:
    """What a node answers: records as they are now, an index that may be behind or have gone.

    `answers` is what happens at the next questions; `reads` counts the records asked for.
    """

    def __init__(self) -> None:
        self.records: dict[str, Item] = {}
        self.events_told: list[Event] = []
        self.indexed = 0
        self.step = 1
        self.reads = 0
        self.answers: list[Answer] = []

    def block(self, items: Sequence[tuple[str, int]], indexed: bool) -> None:
        """Make a block in which each item takes its next steps, so many."""
        height, tx = len({each.place.height for each in self.events_told}) + 1, 0
        for item_id, steps in items:
            for _ in range(steps):
                before = self.records.get(item_id)
                number = 0 if before is None else min(STATUSES.index(before.status) + 1, 2)
                now = replace(
                    before or replace(SUBMITTED, item_id=item_id),
                    status=STATUSES[number],
                    updated_at=f"{height}.{tx}",
                )
                self.records[item_id] = now
                place = Place(height, tx, 0)
                told = Event(place, NAMES[number], {"item_id": item_id}, "AB", str(height), 0)
                self.events_told.append(told)
                tx += 1
        if indexed:
            self.indexed = height

    async def _asked(self) -> None:
        await asyncio.sleep(0)
        match self.answers.pop() if self.answers else None:
            case "away":
                raise NodeUnavailable("the node is away")
            case list() as block:
                self.block(block, indexed=True)

    async def indexed_height(self) -> int:
        await self._asked()
        return self.indexed

    async def newest_events(self, limit: int) -> Newest:
        await self._asked()
        rows = [
            replace(each, index_id=number * self.step)
            for number, each in enumerate(self.events_told, 1)
            if each.place.height <= self.indexed
        ][-limit:]
        places = [each.place for each in rows]
        return Newest(rows, places, places[0] if len(rows) == limit else START)

    async def events(self, name: str, after_id: int, limit: int) -> list[Event]:
        await self._asked()
        rows = [
            replace(each, index_id=number * self.step)
            for number, each in enumerate(self.events_told, 1)
            if each.place.height <= self.indexed + 1  # the block that is being indexed just now
        ]
        return [each for each in rows if each.name == name and each.index_id > after_id][:limit]

    async def items(self, ids: Sequence[str]) -> list[Item | None]:
        await self._asked()
        self.reads += len(ids)
        return [self.records.get(item_id) for item_id in ids]


class Notices(Heads):
    """Block notices of this chain, which is ahead of its index, while they are heard."""

    def __init__(self, chain: Chain, *, heard: bool) -> None:
        self._chain = chain
        self._heard = heard
        super().__init__(Rpc(""))

    @property
    def height(self) -> int:
        told = self._chain.events_told
        return told[-1].place.height if told and self._heard else 0

    @height.setter
    def height(self, _: int) -> None:
        """It is what the chain says."""


def projector(chain: Chain, store: WritableStore, page: int, *, heard: bool = False) -> Projector:
    heads = Notices(chain, heard=heard)
    made = Projector(chain, store, heads, lambda _: None)  # type: ignore[arg-type]
    made._reader = EventReader(chain, NAMES, page=page)  # type: ignore[arg-type]
    return made


items = st.sampled_from(("a", "b", "c", "d", "e", "f"))
block = st.lists(st.tuples(items, st.integers(1, 3)), min_size=1, max_size=5)
answers = st.lists(st.none() | st.none() | st.just("away") | block, max_size=30)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("block"), block, st.booleans()),
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
async def test_whatever_the_index_does_each_event_is_taken_in_once(
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
            case "project":
                (chain.answers,) = arguments  # type: ignore[assignment]
                with suppress(NodeUnavailable, IndexUnavailable):
                    await runner.run(until_level=True)
                chain.answers = []
            case "restart":
                await store.close()
                store = SqliteStore(tmp_path / "p.sqlite3", "c", "con_c")
                runner = projector(chain, store, page, heard=heard)
            case "rebuilt":
                (chain.step,) = arguments  # type: ignore[assignment]
            case "restored":
                chain.indexed = min(chain.indexed, *arguments)  # type: ignore[call-overload]
        told = (await store.events(EventFilter(), 1_000)).rows
        ids = [str(each.place) for each in chain.events_told]
        assert [row["id"] for row in reversed(told)] == ids[: len(told)]
    chain.indexed = len(chain.events_told)
    await runner.run(until_level=True)
    told = (await store.events(EventFilter(), 1_000)).rows
    assert [row["id"] for row in reversed(told)] == [str(e.place) for e in chain.events_told]
    rows = (await store.items(ItemFilter(), 1_000)).rows
    assert {row["item_id"]: row for row in rows} == {
        item_id: record.as_dict() for item_id, record in chain.records.items()
    }
    assert all(number == there for number, there in (await store.recount()).values())
    await store.close()


@pytest.fixture
async def store(tmp_path: Path) -> SqliteStore:
    store = SqliteStore(tmp_path / "p.sqlite3", "c", "con_c")
    await store.prepare()
    return store


async def test_an_item_of_several_pages_is_read_once(store: SqliteStore) -> None:
    chain = Chain()
    for _ in range(3):
        chain.block([(f"i{number}", 1) for number in range(20)], indexed=True)
    runner = projector(chain, store, page=5)
    await runner.run(until_level=True)
    assert (await store.counts())["completed"] == 20
    assert chain.reads == 20


async def test_what_was_read_and_not_written_is_read_again(
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
    await runner.run(until_level=True)
    assert (await store.counts())["completed"] == 1


async def test_the_height_is_that_of_what_is_taken_in(store: SqliteStore) -> None:
    chain = Chain()
    for number in range(9):
        chain.block([(f"i{number}", 3)], indexed=True)
    heights: list[int] = []

    def applied(change: Change) -> None:
        heights.append(change.height)

    runner = projector(chain, store, page=2)
    runner._applied = applied
    await runner.run(until_level=True)
    assert heights == sorted(heights)
    assert heights[0] < 3
    assert heights[-1] == (await store.position()).height == 9


async def test_an_index_below_the_projection_is_waited_for(store: SqliteStore) -> None:
    chain = Chain()
    chain.block([("a", 1)], indexed=True)
    chain.block([("a", 1)], indexed=True)
    runner = projector(chain, store, page=5)
    await runner.run(until_level=True)
    chain.indexed = 1
    with pytest.RaisesGroup(
        pytest.RaisesExc(IndexUnavailable, match="index is at height 1, the projection at 2")
    ):
        await runner.run()


async def test_an_index_of_another_state_is_not_taken_in(store: SqliteStore) -> None:
    chain = Chain()
    chain.block([("a", 1)], indexed=True)
    chain.records.clear()
    with pytest.RaisesGroup(pytest.RaisesExc(IndexUnavailable, match="items that the chain does")):
        await projector(chain, store, page=5).run()
    assert (await store.position()).last_event is None


async def test_one_that_is_level_goes_on_with_the_next_block(store: SqliteStore) -> None:
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


async def test_a_page_that_is_written_for_ever_is_no_rest(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watchdog tells a projector that hangs from one that has nothing to do."""
    chain = Chain()
    runner = projector(chain, store, page=5)
    runner._loading, runner._writing = Pulse("loading", 0.0), Pulse("writing", 0.0)
    await runner.run(until_level=True)
    hanging = asyncio.Event()

    async def never(_: Change) -> None:
        hanging.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(store, "apply", never)
    running = asyncio.create_task(runner.run())
    await asyncio.wait_for(hanging.wait(), 20)
    await asyncio.sleep(0.05)
    assert runner._writing.stuck > 0
    assert runner._loading.stuck == 0
    running.cancel()
    await asyncio.wait({running})
