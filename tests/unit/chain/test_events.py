"""Following events: in the chain's order, none twice, none skipped, whatever the index does."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workflow_backend.chain.events import Cursor, EventReader
from workflow_backend.chain.index_answers import RecentEvents
from workflow_backend.items import START, Event, EventPosition

NAMES = ("ItemSubmitted", "ItemClaimed", "ItemCompleted")
FOREIGN = "Transfer"


class Index:
    """The index's contract with its readers: ids grow with the position, by name, in pages."""

    def __init__(self, events: list[Event], page: int) -> None:
        self.rows = events
        self.page = page
        self.height = max((event.position.height for event in events), default=0)

    async def indexed_height(self) -> int:
        return self.height

    async def recent_events(self, limit: int) -> RecentEvents:
        """Other contracts' events are those of other names; blocks are taken in as a whole."""
        rows = [row for row in self.rows if row.position.height <= self.height][-limit:]
        positions = [row.position for row in rows]
        return RecentEvents(
            [row for row in rows if row.name != FOREIGN],
            positions,
            positions[0] if len(rows) == limit else START,
        )

    async def events(self, name: str, after_id: int, limit: int | None = None) -> list[Event]:
        rows = [event for event in self.rows if event.name == name and event.index_id > after_id]
        return rows[: limit or self.page]

    def ours(self, below: int = 99) -> list[EventPosition]:
        """The positions of the events that a reader is to tell."""
        rows = [row for row in self.rows if row.name in NAMES]
        return [row.position for row in rows if row.position.height < below]

    def rebuilt(self, gap: int) -> Index:
        """The same events under other ids."""
        rows = [replace(row, index_id=(n + 1) * gap + 3) for n, row in enumerate(self.rows)]
        return Index(rows, self.page)


@st.composite
def indexes(draw: st.DrawFn) -> Index:
    positions = draw(
        st.lists(
            st.tuples(st.integers(1, 9), st.integers(0, 3), st.integers(0, 3)),
            unique=True,
            max_size=40,
        )
    )
    gaps = draw(st.lists(st.integers(1, 5), min_size=len(positions), max_size=len(positions)))
    events, index_id = [], 0
    for position, gap in zip(sorted(positions), gaps, strict=True):
        index_id += gap
        name = draw(st.sampled_from((*NAMES, FOREIGN)))
        data = {"item_id": "a"}
        events.append(Event(EventPosition(*position), name, data, "AB", "2026-01-01", index_id))
    return Index(events, page=draw(st.integers(2, 6)))


async def follow(
    index: Index, cursor: Cursor, pages: int | None = None
) -> tuple[list[EventPosition], Cursor]:
    reader = EventReader(index, NAMES, page=index.page)  # type: ignore[arg-type]
    positions: list[EventPosition] = []
    while pages is None or pages > 0:
        page = await reader.page(cursor)
        assert len(page.events) <= index.page
        positions += [event.position for event in page.events]
        cursor = Cursor.from_json({**page.cursor.as_json()})
        if not page.events:
            break
        pages = None if pages is None else pages - 1
    return positions, cursor


@given(indexes())
async def test_reader_yields_each_event_once_in_order(index: Index) -> None:
    positions, _ = await follow(index, Cursor())
    assert positions == index.ours()


@given(indexes(), st.integers(0, 4), st.integers(1, 7))
async def test_reader_finds_position_in_rebuilt_index(index: Index, pages: int, gap: int) -> None:
    first, cursor = await follow(index, Cursor(), pages)
    rest, _ = await follow(index.rebuilt(gap), cursor)
    assert first + rest == index.ours()


@given(indexes(), st.integers(1, 9))
async def test_reader_waits_for_older_index(index: Index, height: int) -> None:
    everything, cursor = await follow(index, Cursor())
    older = Index([row for row in index.rows if row.position.height < height], index.page)
    assert (await follow(older, cursor))[0] == []
    assert (await follow(index, cursor))[0] == []
    assert everything == index.ours()


@given(indexes(), st.integers(1, 9))
async def test_reader_leaves_block_that_is_being_indexed(index: Index, height: int) -> None:
    index.height = height
    positions, cursor = await follow(index, Cursor())
    assert positions == index.ours(height + 1)
    index.height = 9
    rest, _ = await follow(index, cursor)
    assert positions + rest == index.ours()


@given(indexes(), st.lists(st.integers(1, 9), max_size=9), st.integers(1, 7))
async def test_reader_continues_block_by_block(index: Index, heights: list[int], gap: int) -> None:
    """One reader, as a service has it: whatever comes between two looks, and however much."""
    reader = EventReader(index, NAMES, page=index.page)  # type: ignore[arg-type]
    cursor, positions = Cursor(), list[EventPosition]()
    for number, height in enumerate([*sorted(heights), 9, 9]):
        index.height = height
        if number == len(heights) // 2:
            reader._node = index = index.rebuilt(gap)  # type: ignore[assignment]
            index.height = height
        page = await reader.page(cursor)
        positions += [event.position for event in page.events]
        while page.more:
            page = await reader.page(page.cursor)
            positions += [event.position for event in page.events]
        cursor = page.cursor
        assert positions == index.ours(height + 1)
        assert page.height == height


def counted(index: Index) -> list[str]:
    """Write down each question to the index from now on."""
    asked: list[str] = []
    for name in ("events", "recent_events"):

        async def ask(*arguments: Any, name: str = name) -> Any:
            asked.append(name)
            return await getattr(Index, name)(index, *arguments)

        setattr(index, name, ask)
    return asked


async def test_reader_splits_merged_result_into_pages() -> None:
    events = [
        Event(EventPosition(n, 0, 0), NAMES[n % 3], {"item_id": "a"}, "AB", "2026", n)
        for n in range(1, 91)
    ]
    index = Index(events, 10)
    asked = counted(index)
    reader, cursor, positions = EventReader(index, NAMES, page=10), Cursor(), list[EventPosition]()  # type: ignore[arg-type]
    more = True
    while more:
        page = await reader.page(cursor)
        assert len(page.events) <= 10
        positions += [event.position for event in page.events]
        cursor, more = page.cursor, page.more
    assert positions == index.ours()
    assert len(asked) == 4 * len(NAMES)  # each tells 28 events at least


async def test_reader_requests_all_names_at_once() -> None:
    events = [
        Event(
            EventPosition(height, 0, n),
            NAMES[n % 3],
            {"item_id": "a"},
            "AB",
            "2026",
            height * 100 + n,
        )
        for height in range(1, 9)
        for n in range(height * 10)
    ]
    index = Index([], 1000)
    asked = counted(index)
    reader, cursor = EventReader(index, NAMES), Cursor()  # type: ignore[arg-type]
    for height in range(1, 9):
        index.height, index.rows = height, [e for e in events if e.position.height <= height]
        page = await reader.page(cursor)
        assert [event.position for event in page.events] == index.ours(height + 1)[-height * 10 :]
        cursor = page.cursor
    assert asked.count("events") == 3  # the first time
    assert asked.count("recent_events") <= 2 * 7
