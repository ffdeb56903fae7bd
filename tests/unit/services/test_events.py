"""Following events: in the chain's order, none twice, none skipped, whatever the index does."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from workflow_backend.chain.events import Cursor, EventReader
from workflow_backend.chain.node import IndexStatus
from workflow_backend.items import Event, Place

NAMES = ("ItemSubmitted", "ItemClaimed", "ItemCompleted")


class Index:
    """The index's contract with its readers: ids grow with the place, by name, in pages."""

    def __init__(self, events: list[Event], page: int) -> None:
        self.rows = events
        self.page = page
        self.height = max((event.place.height for event in events), default=0)

    async def index_status(self) -> IndexStatus:
        return IndexStatus(height=self.height, lag=0, spooled=0, healthy=True, problem="")

    async def events(self, name: str, after_id: int, limit: int | None = None) -> list[Event]:
        rows = [event for event in self.rows if event.name == name and event.index_id > after_id]
        return rows[: limit or self.page]

    def rebuilt(self, gap: int) -> Index:
        """The same events under other ids."""
        rows = [replace(row, index_id=(n + 1) * gap + 3) for n, row in enumerate(self.rows)]
        return Index(rows, self.page)


@st.composite
def indexes(draw: st.DrawFn) -> Index:
    places = draw(
        st.lists(
            st.tuples(st.integers(1, 9), st.integers(0, 3), st.integers(0, 3)),
            unique=True,
            max_size=40,
        )
    )
    gaps = draw(st.lists(st.integers(1, 5), min_size=len(places), max_size=len(places)))
    events, index_id = [], 0
    for place, gap in zip(sorted(places), gaps, strict=True):
        index_id += gap
        name = draw(st.sampled_from(NAMES))
        data = {"item_id": "a"}
        events.append(Event(Place(*place), name, data, "AB", "2026-01-01", index_id))
    return Index(events, page=draw(st.integers(2, 6)))


async def follow(
    index: Index, cursor: Cursor, pages: int | None = None
) -> tuple[list[Place], Cursor]:
    reader = EventReader(index, NAMES, page=index.page)  # type: ignore[arg-type]
    places: list[Place] = []
    while pages is None or pages > 0:
        page = await reader.page(cursor)
        places += [event.place for event in page.events]
        cursor = Cursor.from_json({**page.cursor.as_json()})
        if not page.events:
            break
        pages = None if pages is None else pages - 1
    return places, cursor


@given(indexes())
async def test_every_event_comes_once_and_in_order(index: Index) -> None:
    places, _ = await follow(index, Cursor())
    assert places == [event.place for event in index.rows]


@given(indexes(), st.integers(0, 4), st.integers(1, 7))
async def test_a_rebuilt_index_is_found_again(index: Index, pages: int, gap: int) -> None:
    first, cursor = await follow(index, Cursor(), pages)
    rest, _ = await follow(index.rebuilt(gap), cursor)
    assert first + rest == [event.place for event in index.rows]


@given(indexes(), st.integers(1, 9))
async def test_an_index_restored_to_an_older_height_is_waited_for(
    index: Index, height: int
) -> None:
    everything, cursor = await follow(index, Cursor())
    older = Index([row for row in index.rows if row.place.height < height], index.page)
    assert (await follow(older, cursor))[0] == []
    assert (await follow(index, cursor))[0] == []
    assert everything == [event.place for event in index.rows]


@given(indexes(), st.integers(1, 9))
async def test_a_block_that_is_being_indexed_is_left_for_later(index: Index, height: int) -> None:
    index.height = height
    places, cursor = await follow(index, Cursor())
    assert places == [event.place for event in index.rows if event.place.height <= height]
    index.height = 9
    rest, _ = await follow(index, cursor)
    assert places + rest == [event.place for event in index.rows]
