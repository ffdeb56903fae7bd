"""Reading the contract's events as one resumable stream in the order of the chain.

The index returns events by name and after an index id. Ids have gaps and change when the index is
rebuilt, so a cursor is a position in the chain. The last id of each name is only a hint where to
look; it is verified by reading that event again.
"""

import asyncio
import logging
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Self

from ..items import START, Event, EventPosition
from .block_subscription import BlockSubscription
from .node import EVENT_PAGE, Node

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
"""Longest wait for a block before the index is read again."""

INDEX_DELAY_SECONDS = 0.01
"""Typical delay between a block and its index."""

SPARE_ROWS = 16
"""Rows requested beyond the recent number: each row costs time, but so does another request."""

SECONDS_PER_EVENT = 0.001
LONGEST_PAUSE_SECONDS = 0.1
"""The pause before the next page is SECONDS_PER_EVENT for each event of the last one, but at most
LONGEST_PAUSE_SECONDS: a lone event is read at once, many are read together."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The progress of a reader: the position of its last event, and the last event of each name.

    `hash` is that of the block at the position, empty if unknown.
    """

    position: EventPosition = START
    seen: dict[str, tuple[int, EventPosition]] = field(default_factory=dict)
    hash: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the cursor as JSON for `from_json`."""
        return {"place": self.position, "seen": self.seen, "hash": self.hash}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Build a cursor from what `as_json` gave; raises KeyError, TypeError or ValueError."""
        seen = {
            name: (index_id, EventPosition(*position))
            for name, (index_id, position) in value["seen"].items()
        }
        return cls(EventPosition(*value["place"]), seen, value.get("hash", ""))


@dataclass(frozen=True, slots=True)
class Page:
    """Events in order, the cursor after them, the index's height, and whether there are more.

    `read_at` is the monotonic time of the request.
    """

    events: list[Event]
    cursor: Cursor
    height: int
    more: bool
    read_at: float


class EventReader:
    """Reads events of several names as one stream.

    A reader that has caught up requests the newest events of all names at once. If they do not
    reach back to its cursor, it requests each name and merges the results into pages of its own.
    """

    def __init__(self, node: Node, names: Iterable[str], page: int = EVENT_PAGE) -> None:
        self._node = node
        self._names = tuple(names)
        self._page = page
        self._has_caught_up = False
        self._expected = 0
        self._empty_polls = 0
        self._buffered: tuple[EventPosition, Page] | None = None

    async def page(self, cursor: Cursor) -> Page:
        """Return the next events after a cursor, at most a page of them.

        Nothing is read from an index that is below the cursor.
        """
        if self._buffered is not None and self._buffered[0] == cursor.position:
            read = self._buffered[1]
        else:
            read = await self._read(cursor)
        return self._split(cursor, read)

    def _split(self, cursor: Cursor, read: Page) -> Page:
        """Return a page of what was read, and buffer the rest for the next one."""
        self._buffered = None
        if len(read.events) <= self._page:
            return read
        events, remainder = read.events[: self._page], read.events[self._page :]
        seen = cursor.seen | {event.name: (event.index_id, event.position) for event in events}
        position = events[-1].position
        self._buffered = (position, replace(read, events=remainder))
        return replace(read, events=events, cursor=Cursor(position, seen), more=True)

    async def _read(self, cursor: Cursor) -> Page:
        read_at = time.monotonic()
        height = await self._node.indexed_height()
        if height < cursor.position.height:
            return Page([], cursor, height, False, read_at)
        page = await self._newest(cursor, height, read_at) if self._has_caught_up else None
        if page is None:
            page = await self._merged(cursor, height, read_at)
        self._has_caught_up = not page.more
        self._empty_polls = 0 if page.events else self._empty_polls
        return page

    async def wait_for_more(self, page: Page, subscription: BlockSubscription) -> None:
        """Wait until there is probably something after a page."""
        if page.more:
            return
        if subscription.height > page.height:  # the index lags: do not poll it all the time
            self._empty_polls = min(self._empty_polls + 1, 8)
        elif await subscription.wait(IDLE_SECONDS):
            self._empty_polls = 0
        else:
            return
        pause = max(
            INDEX_DELAY_SECONDS * 2**self._empty_polls, SECONDS_PER_EVENT * len(page.events)
        )
        since = time.monotonic() - page.read_at
        await asyncio.sleep(max(INDEX_DELAY_SECONDS, min(pause, LONGEST_PAUSE_SECONDS) - since))

    async def _newest(self, cursor: Cursor, height: int, read_at: float) -> Page | None:
        """Return all events after a cursor, or None if there are more than a page of them."""
        limit = self._expected + SPARE_ROWS
        while (
            found := await self._node.recent_events(min(limit, self._page))
        ).since > cursor.position:
            if limit >= self._page:
                return None
            limit *= 4
        behind = sum(position > cursor.position for position in found.rows)
        self._expected = max(behind + behind // 4, self._expected // 2)
        ours = [event for event in found.events if event.name in self._names]
        events = [event for event in ours if event.position > cursor.position]
        seen = cursor.seen | {event.name: (event.index_id, event.position) for event in ours}
        position = events[-1].position if events else cursor.position
        height = max([height, *(position.height for position in found.rows[-1:])])
        return Page(events, Cursor(position, seen), height, False, read_at)

    async def _merged(self, cursor: Cursor, height: int, read_at: float) -> Page:
        """Return the next events, requested by name and merged.

        Nothing above the index's height, which was read before, is used: of a block that is being
        indexed, the events of one name may be visible before those of another.
        """
        streams = await asyncio.gather(*(self._stream(name, cursor) for name in self._names))
        bound = min(
            [EventPosition(height, math.inf, math.inf)]  # type: ignore[arg-type]
            + [stream[-1].position for stream in streams if len(stream) >= self._page]
        )
        events = sorted(
            (
                event
                for stream in streams
                for event in stream
                if cursor.position < event.position <= bound
            ),
            key=lambda event: event.position,
        )
        position = events[-1].position if events else cursor.position
        # Include the events that verify the cursor: their ids may be new.
        seen = cursor.seen | {
            event.name: (event.index_id, event.position)
            for stream in streams
            for event in stream
            if event.position <= position
        }
        more = bool(events) and any(
            stream and (stream[-1].position > position or len(stream) >= self._page)
            for stream in streams
        )
        return Page(events, Cursor(position, seen), height, more, read_at)

    async def _stream(self, name: str, cursor: Cursor) -> list[Event]:
        if name not in cursor.seen:
            return await self._from_start(name, cursor)
        index_id, position = cursor.seen[name]
        events = await self._node.events(name, index_id - 1, self._page)
        if events and events[0].index_id == index_id and events[0].position == position:
            return events
        log.info("the index has new ids for %s: searching for %s", name, cursor.position)
        return await self._from_start(name, cursor)

    async def _from_start(self, name: str, cursor: Cursor) -> list[Event]:
        """Find the position in an index with other ids: ids grow with the position."""
        after = 0
        if cursor.position != START:
            after = await self._last_id_before(name, cursor.position)
        return await self._node.events(name, after, self._page)

    async def _last_id_before(self, name: str, position: EventPosition) -> int:
        """Return an id after which the first event at or above the position follows (bisection)."""
        low, step = 0, 1
        while await self._is_before(name, low + step, position):
            low, step = low + step, step * 2
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            if await self._is_before(name, middle, position):
                low = middle
            else:
                high = middle
        return low

    async def _is_before(self, name: str, index_id: int, position: EventPosition) -> bool:
        """Return whether the first event after this id is at or before the position."""
        events = await self._node.events(name, index_id, 1)
        return bool(events) and events[0].position <= position
