"""Following the contract's events: one stream out of several, in the chain's order, resumable.

The index answers events by name and behind an index id. Ids have gaps, and a rebuilt index gives
the same event another one, so a cursor is a place in the chain; the last id seen of each name only
says where to look, and is proved by reading that event again.
"""

import asyncio
import logging
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Self

from ..items import START, Event, Place
from .heads import Heads
from .node import EVENT_PAGE, Node

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
INDEX_SECONDS = 0.01
"""So far behind a block is its index, as a rule."""

SPARE = 16
"""So many events more than lately are asked for: each row costs, and so does asking again."""

EACH_SECONDS = 0.001
GATHER_SECONDS = 0.1
"""Pages are so far apart for each event of the last, up to a limit: alone an event is read at once,
and where many come they are read together, for a page has its price however little is in it."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader is: the last event it took in, and where each name's last one stands.

    `hash` is that of the block at its place, empty where that was not looked at.
    """

    place: Place = START
    seen: dict[str, tuple[int, Place]] = field(default_factory=dict)
    hash: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return {"place": self.place, "seen": self.seen, "hash": self.hash}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Build a cursor from what `as_json` gave, after a trip through JSON."""
        seen = {
            name: (index_id, Place(*place)) for name, (index_id, place) in value["seen"].items()
        }
        return cls(Place(*value["place"]), seen, value.get("hash", ""))


@dataclass(frozen=True, slots=True)
class Page:
    """Events in order, the cursor behind them, the index's height, and whether more are there.

    `read_at` is when it was asked for, on the monotonic clock.
    """

    events: list[Event]
    cursor: Cursor
    height: int
    more: bool
    read_at: float


class EventReader:
    """Reads events of several names as one stream.

    One that is level asks for the newest events of all names at once. Where they do not reach back
    to its place, it asks name by name, and tells what all names gave in pages of its own.
    """

    def __init__(self, node: Node, names: Iterable[str], page: int = EVENT_PAGE) -> None:
        self._node = node
        self._names = tuple(names)
        self._page = page
        self._level = False
        self._expected = 0
        self._vain = 0
        self._rest: tuple[Place, Page] | None = None

    async def page(self, cursor: Cursor) -> Page:
        """Return the next events behind a cursor, at most a page's number.

        Of an index that is below the cursor nothing is read at all.
        """
        if self._rest is not None and self._rest[0] == cursor.place:
            read = self._rest[1]
        else:
            read = await self._read(cursor)
        return self._cut(cursor, read)

    def _cut(self, cursor: Cursor, read: Page) -> Page:
        """Return the first events of what was read; the others are there for the next page."""
        self._rest = None
        if len(read.events) <= self._page:
            return read
        events, rest = read.events[: self._page], read.events[self._page :]
        seen = cursor.seen | {event.name: (event.index_id, event.place) for event in events}
        place = events[-1].place
        self._rest = (place, replace(read, events=rest))
        return replace(read, events=events, cursor=Cursor(place, seen), more=True)

    async def _read(self, cursor: Cursor) -> Page:
        read_at = time.monotonic()
        height = await self._node.indexed_height()
        if height < cursor.place.height:
            return Page([], cursor, height, False, read_at)
        page = await self._newest(cursor, height, read_at) if self._level else None
        if page is None:
            page = await self._merged(cursor, height, read_at)
        self._level = not page.more
        self._vain = 0 if page.events else self._vain
        return page

    async def until_more(self, page: Page, heads: Heads) -> None:
        """Wait until there is likely something behind a page."""
        if page.more:
            return
        if heads.height > page.height:  # the index is behind: it is not to be asked all the time
            self._vain = min(self._vain + 1, 8)
        elif await heads.wait(IDLE_SECONDS):
            self._vain = 0
        else:
            return
        pause = max(INDEX_SECONDS * 2**self._vain, EACH_SECONDS * len(page.events))
        since = time.monotonic() - page.read_at
        await asyncio.sleep(max(INDEX_SECONDS, min(pause, GATHER_SECONDS) - since))

    async def _newest(self, cursor: Cursor, height: int, read_at: float) -> Page | None:
        """Return all that is behind a cursor, None where that is more than was expected."""
        limit = self._expected + SPARE
        while (
            found := await self._node.newest_events(min(limit, self._page))
        ).since > cursor.place:
            if limit >= self._page:
                return None
            limit *= 4
        behind = sum(place > cursor.place for place in found.rows)
        self._expected = max(behind + behind // 4, self._expected // 2)
        ours = [event for event in found.events if event.name in self._names]
        events = [event for event in ours if event.place > cursor.place]
        seen = cursor.seen | {event.name: (event.index_id, event.place) for event in ours}
        place = events[-1].place if events else cursor.place
        height = max([height, *(place.height for place in found.rows[-1:])])
        return Page(events, Cursor(place, seen), height, False, read_at)

    async def _merged(self, cursor: Cursor, height: int, read_at: float) -> Page:
        """Return the next events, each name's asked for by itself.

        Nothing above the index's height, read first, is taken in: of a block that is being indexed
        just now one name's events could be seen and another's not.
        """
        streams = await asyncio.gather(*(self._stream(name, cursor) for name in self._names))
        bound = min(
            [Place(height, math.inf, math.inf)]  # type: ignore[arg-type]
            + [stream[-1].place for stream in streams if len(stream) >= self._page]
        )
        events = sorted(
            (
                event
                for stream in streams
                for event in stream
                if cursor.place < event.place <= bound
            ),
            key=lambda event: event.place,
        )
        place = events[-1].place if events else cursor.place
        # With those that prove the cursor in this index: they may just have been found again.
        seen = cursor.seen | {
            event.name: (event.index_id, event.place)
            for stream in streams
            for event in stream
            if event.place <= place
        }
        more = bool(events) and any(
            stream and (stream[-1].place > place or len(stream) >= self._page) for stream in streams
        )
        return Page(events, Cursor(place, seen), height, more, read_at)

    async def _stream(self, name: str, cursor: Cursor) -> list[Event]:
        if name not in cursor.seen:
            return await self._from_start(name, cursor)
        index_id, place = cursor.seen[name]
        events = await self._node.events(name, index_id - 1, self._page)
        if events and events[0].index_id == index_id and events[0].place == place:
            return events
        log.info("the index has other ids for %s: looking for %s in it again", name, cursor.place)
        return await self._from_start(name, cursor)

    async def _from_start(self, name: str, cursor: Cursor) -> list[Event]:
        """Find the place again in an index that knows other ids: ids grow with the place."""
        after = 0
        if cursor.place != START:
            after = await self._last_id_before(name, cursor.place)
        return await self._node.events(name, after, self._page)

    async def _last_id_before(self, name: str, place: Place) -> int:
        """Return an id behind which the first event at or above the place stands."""
        low, step = 0, 1
        while await self._is_before(name, low + step, place):
            low, step = low + step, step * 2
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            if await self._is_before(name, middle, place):
                low = middle
            else:
                high = middle
        return low

    async def _is_before(self, name: str, index_id: int, place: Place) -> bool:
        """Tell whether the first event behind this id still comes before or at the place."""
        events = await self._node.events(name, index_id, 1)
        return bool(events) and events[0].place <= place
