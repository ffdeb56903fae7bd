"""The projector between an index that changes under it and a store: each event once, in order."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_harness import running_postgres

from workflow_backend.chain.events import EventReader
from workflow_backend.chain.heads import Heads
from workflow_backend.chain.node import Newest
from workflow_backend.chain.rpc import Rpc
from workflow_backend.errors import (
    HistoryDiverged,
    IndexUnavailable,
    NodeUnavailable,
    ProjectionUnavailable,
)
from workflow_backend.items import START, STATUSES, Block, Event, Item, Place
from workflow_backend.projection import projector as module
from workflow_backend.projection.projector import Projector
from workflow_backend.projection.service import Report, project
from workflow_backend.pulse import Pulse
from workflow_backend.store.base import Change, EventFilter, ItemFilter, WritableStore
from workflow_backend.store.postgresql import PostgresqlStore
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
    created_at="2026-01-01 00:00:00",
    updated_at="2026-01-01 00:00:00",
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
        self.history = "a"
        self.uncommitted: dict[str, Item] = {}
        self.lost: set[int] = set()
        self.step = 1
        self.reads = 0
        self.answers: list[Answer] = []

    @property
    def height(self) -> int:
        """The newest block that holds events."""
        return self.events_told[-1].place.height if self.events_told else 0

    def block(self, items: Sequence[tuple[str, int]], indexed: bool) -> None:
        """Make a block in which each item takes its next steps, so many."""
        self.commit()
        self.uncommitted_block(items, indexed)
        self.commit()

    def commit(self) -> None:
        """Have the state what the newest block did to it, and a block behind that."""
        self.records |= self.uncommitted
        self.uncommitted.clear()

    def uncommitted_block(self, items: Sequence[tuple[str, int]], indexed: bool) -> None:
        """Make a block that the index knows, and the state does not yet."""
        height, tx = len({each.place.height for each in self.events_told}) + 1, 0
        for item_id, steps in items:
            for _ in range(steps):
                before = self.uncommitted.get(item_id) or self.records.get(item_id)
                number = 0 if before is None else min(STATUSES.index(before.status) + 1, 2)
                now = replace(
                    before or replace(SUBMITTED, item_id=item_id),
                    status=STATUSES[number],
                    updated_at=f"2026-01-01 00:{height:02}:{tx:02}",
                )
                self.uncommitted[item_id] = now
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

    async def committed(self, heights: Collection[int]) -> dict[int, Block]:
        """Answer as `Blocks` does."""
        await self._asked()
        top = self.height - bool(self.uncommitted)
        return {
            height: Block(height, f"{self.history}{height}", f"contract {height}", f"time {height}")
            for height in heights
            if height <= top and height not in self.lost
        }


class Notices(Heads):
    """Block notices of this chain, which is ahead of its index, while they are heard."""

    def __init__(self, chain: Chain, *, heard: bool) -> None:
        self._chain = chain
        self._heard = heard
        super().__init__(Rpc(""))

    @property
    def height(self) -> int:
        return self._chain.height - bool(self._chain.uncommitted) if self._heard else 0

    @height.setter
    def height(self, _: int) -> None:
        """It is what the chain says."""


def projector(chain: Chain, store: WritableStore, page: int, *, heard: bool = False) -> Projector:
    heads = Notices(chain, heard=heard)
    made = Projector(chain, store, heads, lambda _: None)  # type: ignore[arg-type]
    made._blocks = made._reader._blocks = chain  # type: ignore[assignment]
    made._reader._reader = EventReader(chain, NAMES, page=page)  # type: ignore[arg-type]
    return made


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
            case "uncommitted":
                chain.commit()
                chain.uncommitted_block(*arguments)  # type: ignore[arg-type]
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
    chain.commit()
    chain.indexed = chain.height
    await runner.run(until_level=True)
    told = (await store.events(EventFilter(), 1_000)).rows
    assert [row["id"] for row in reversed(told)] == [str(e.place) for e in chain.events_told]
    rows = (await store.items(ItemFilter(), 1_000)).rows
    last = {each.item_id: each.place.height for each in chain.events_told}
    assert {row["item_id"]: row["updated_time"] for row in rows} == {
        item_id: f"time {height}" for item_id, height in last.items()
    }
    records = [{name: row[name] for name in Item.__slots__} for row in rows]
    assert {row["item_id"]: row for row in records} == {
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
        pytest.RaisesExc(IndexUnavailable, match="index is at height 1, what was read .* at 2")
    ):
        await runner.run()


async def test_an_index_of_another_state_is_not_taken_in(store: SqliteStore) -> None:
    chain = Chain()
    chain.block([("a", 1)], indexed=True)
    chain.records.clear()
    with pytest.RaisesGroup(pytest.RaisesExc(IndexUnavailable, match="items that the chain does")):
        await projector(chain, store, page=5).run()
    assert (await store.position()).last_event is None


async def test_projector_waits_for_the_commit_of_a_block(store: SqliteStore) -> None:
    """The index knows a block before the state: its item's record is still the one before."""
    chain = Chain()
    chain.block([("a", 1)], indexed=True)
    chain.uncommitted_block([("a", 1), ("b", 1)], indexed=True)
    runner = projector(chain, store, page=5)
    await runner.run(until_level=True)
    assert (await store.position()).last_event == "1-0-0"
    assert (await store.position()).height == 1
    chain.commit()
    await runner.run(until_level=True)
    assert (await store.item("a") or {})["status"] == "processing"
    assert (await store.counts())["submitted"] == 1


async def test_projector_takes_nothing_in_of_another_history(store: SqliteStore) -> None:
    """A home was restored to an older block, and the chain has grown over the cursor since."""
    chain = Chain()
    for _ in range(2):
        chain.block([("a", 1)], indexed=True)
    await projector(chain, store, page=5).run(until_level=True)
    chain.history = "b"
    for item_id in ("b", "c"):
        chain.block([(item_id, 1)], indexed=True)
    runner = projector(chain, store, page=5)
    for _ in range(2):
        with pytest.RaisesGroup(pytest.RaisesExc(HistoryDiverged, match="block 2 is b2")):
            await runner.run(until_level=True)
    assert (await store.position()).last_event == "2-0-0"
    chain.history = "a"  # the right home is back
    await runner.run(until_level=True)
    assert (await store.counts())["submitted"] == 2


async def test_projector_says_which_block_is_missing(store: SqliteStore) -> None:
    """An older block that nobody has is not one that is about to be committed."""
    chain = Chain()
    for _ in range(4):
        chain.block([("a", 1)], indexed=True)
    chain.lost = {2}
    with pytest.RaisesGroup(pytest.RaisesExc(IndexUnavailable, match="has the blocks 2 and 3")):
        await projector(chain, store, page=5).run(until_level=True)
    chain.lost = {1}
    with pytest.RaisesGroup(pytest.RaisesExc(IndexUnavailable, match="has the blocks 1 and 2")):
        await projector(chain, store, page=5).run(until_level=True)


async def test_projector_notices_another_history_without_new_events(store: SqliteStore) -> None:
    chain = Chain()
    chain.block([("a", 1)], indexed=True)
    runner = projector(chain, store, page=5)
    await runner.run(until_level=True)
    chain.history = "b"
    chain.indexed += 1  # a block of others
    with pytest.RaisesGroup(HistoryDiverged):
        await runner.run(until_level=True)


@pytest.fixture(params=["sqlite", "postgresql"])
async def two_writers(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[WritableStore, WritableStore]]:
    """One projection as two processes have it."""
    with contextlib.ExitStack() as opened:
        writers: tuple[WritableStore, WritableStore]
        if request.param == "sqlite":
            path = tmp_path / "p.sqlite3"
            writers = SqliteStore(path, "c", "con_c"), SqliteStore(path, "c", "con_c")
        else:
            dsn = opened.enter_context(running_postgres())
            writers = PostgresqlStore(dsn, "c", "con_c"), PostgresqlStore(dsn, "c", "con_c")
        await writers[0].prepare()
        yield writers
        for writer in writers:
            await writer.close()


async def test_rows_are_mended_where_another_projector_was_first(
    two_writers: tuple[WritableStore, WritableStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one read its records before: what this one read of later blocks is in no row."""
    chain = Chain()
    chain.block([("a", 1)], indexed=True)
    store, its_store = two_writers
    it_has_read, it_may_write = asyncio.Event(), asyncio.Event()
    write_its = its_store.apply

    async def held(change: Change) -> bool:
        it_has_read.set()
        await it_may_write.wait()
        return await write_its(change)

    monkeypatch.setattr(its_store, "apply", held)
    other = asyncio.create_task(projector(chain, its_store, page=5).run(until_level=True))
    await asyncio.wait_for(it_has_read.wait(), 10)
    chain.block([("a", 1)], indexed=False)
    write = store.apply

    async def second(change: Change) -> bool:
        it_may_write.set()
        await other
        chain.indexed = chain.height
        return await write(change)

    runner = projector(chain, store, page=5, heard=True)
    taken = asyncio.Queue[Change]()
    runner._applied = taken.put_nowait
    monkeypatch.setattr(store, "apply", second)
    running = asyncio.create_task(project(runner, Report()))
    while (await asyncio.wait_for(taken.get(), 10)).cursor.place.height < 2:
        pass
    running.cancel()
    await asyncio.wait({running})
    assert (await store.item("a") or {})["status"] == "processing"
    assert (await store.counts())["processing"] == 1


async def test_projector_reads_the_blocks_that_an_earlier_release_left_out(
    tmp_path: Path, store: SqliteStore
) -> None:
    chain = Chain()
    for item_id in ("a", "b", "a"):
        chain.block([(item_id, 1)], indexed=True)
    await projector(chain, store, page=2).run(until_level=True)
    expected = [await store.item(item_id) for item_id in ("a", "b")]
    with contextlib.closing(sqlite3.connect(tmp_path / "p.sqlite3")) as earlier, earlier:
        earlier.execute("DELETE FROM blocks WHERE height > 1")
        earlier.execute("UPDATE items SET last_place = NULL WHERE item_id = 'b'")
        earlier.execute("UPDATE items SET last_place = place WHERE item_id = 'a'")
        earlier.execute("UPDATE projection SET blocks_place = ?", [1 << 32])
    assert [await store.item(item_id) for item_id in ("a", "b")] != expected
    await projector(chain, store, page=2).run(until_level=True)
    assert [await store.item(item_id) for item_id in ("a", "b")] == expected


async def test_new_events_do_not_wait_for_the_blocks_of_earlier_ones(
    tmp_path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Chain()
    chain.block([("a", 1), ("b", 1)], indexed=True)
    await projector(chain, store, page=2).run(until_level=True)
    expected = await store.item("b")
    with contextlib.closing(sqlite3.connect(tmp_path / "p.sqlite3")) as earlier, earlier:
        earlier.execute("DELETE FROM blocks")
        earlier.execute("UPDATE items SET last_place = NULL")
        earlier.execute("UPDATE projection SET blocks_place = -1")
    chain.block([("a", 1)], indexed=True)
    goes_on, taken, add_blocks = asyncio.Event(), asyncio.Queue[Change](), store.add_blocks

    async def slow(places: Sequence[Place], blocks: Mapping[int, Block]) -> None:
        await goes_on.wait()
        await add_blocks(places, blocks)

    monkeypatch.setattr(store, "add_blocks", slow)
    runner = projector(chain, store, page=2)
    runner._applied = taken.put_nowait
    running = asyncio.create_task(runner.run(until_level=True))
    while not (await asyncio.wait_for(taken.get(), 20)).events:
        pass
    assert (await store.item("a") or {})["status"] == "processing"
    goes_on.set()
    await running
    assert await store.without_blocks() == []
    assert await store.item("b") == expected
    assert (await store.item("a") or {})["updated_time"] == "time 2"


async def test_outage_of_the_projection_is_not_told_as_a_loop_that_hangs(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Chain()
    chain.block([("a", 1)], indexed=True)
    runner = projector(chain, store, page=5)
    pulses = runner._reading, runner._loading, runner._writing, runner._completing
    for pulse in pulses:
        pulse._limit = 0.0

    async def fail(*_: object) -> None:
        raise ProjectionUnavailable("the database is away")

    monkeypatch.setattr(store, "apply", fail)
    with pytest.RaisesGroup(ProjectionUnavailable):
        await runner.run()
    assert runner._writing.stuck > 0
    monkeypatch.setattr(store, "without_blocks", fail)
    monkeypatch.setattr(store, "cursor", fail)
    with suppress(ProjectionUnavailable):
        await runner.run()
    assert [pulse.stuck for pulse in pulses] == [0.0] * 4


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
