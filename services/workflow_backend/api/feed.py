"""Pages of events for all live streams: each is read and encoded once, whoever follows.

Streams take turns, one short page at a time. While requests come in, pauses between the turns keep
the event loop free for them: a stream that catches up can wait, a request can't.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from ..background import background
from ..errors import WorkflowError
from ..items import EventPosition
from ..store.base import ClientScope, Store
from .records import streamed_event

log = logging.getLogger(__name__)

PAGE_EVENTS = 40
"""Events of one turn: about a millisecond of work."""

POLL_SECONDS = 0.1
WAIT_SECONDS = 1.0
CACHED_PAGES = 64
CACHE_SECONDS = 10.0

BUSY_SECONDS = 1.0
"""How long after a request more of them are expected."""

PAUSE_FACTOR = 15
MIN_PAUSE_SECONDS = 0.002
"""The pause after a turn while requests are expected: a multiple of the turn's own time, and a
minimum for what writing to the sockets takes."""


@dataclass(frozen=True, slots=True)
class Page:
    """Events after a position, as rows and as messages, and the position of the last."""

    rows: list[dict[str, Any]]
    messages: list[bytes]
    end: EventPosition
    read_at: float

    def within(self, scope: ClientScope | None) -> bytes:
        """Return the messages of those events that are within a client's scope."""
        if scope is None:
            return b"".join(self.messages)
        pairs = zip(self.rows, self.messages, strict=True)
        return b"".join(message for row, message in pairs if scope.contains(row))


class EventFeed:
    """The projection's events for any number of streams.

    `last_request_at` returns when a request that is not for a stream came last, by the monotonic
    clock.
    """

    def __init__(self, store: Store, last_request_at: Callable[[], float]) -> None:
        self._store = store
        self._last_request_at = last_request_at
        self._turn = asyncio.Lock()
        self._pages: OrderedDict[EventPosition, Page] = OrderedDict()
        self._end: EventPosition | None = None
        self._waiters = 0
        self._has_waiters = asyncio.Event()
        self._changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def following(self, stopping: asyncio.Event) -> AsyncIterator[EventFeed]:
        """Poll for new events while streams wait for them; a stop wakes every stream."""
        async with background(self._follow(stopping), "feed"):
            yield self

    async def read(
        self, position: EventPosition, scope: ClientScope | None
    ) -> tuple[bytes, EventPosition, bool]:
        """Take a turn: return the messages within scope, the new position, and if there are more.

        The position stays the same if there are no events. Raises WorkflowError if the projection
        can't be read.
        """
        async with self._turn:
            began = time.perf_counter()
            page = await self._page_after(position)
            if page is None:
                return b"", position, False
            messages = page.within(scope)
            await asyncio.sleep(self._pause_seconds(time.perf_counter() - began))
        return messages, page.end, len(page.rows) == PAGE_EVENTS

    async def wait(self) -> None:
        """Wait until there may be a new event, for a second at most."""
        self._waiters += 1
        self._has_waiters.set()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            pass
        finally:
            self._waiters -= 1

    def _pause_seconds(self, turn_seconds: float) -> float:
        if time.monotonic() - self._last_request_at() > BUSY_SECONDS:
            return 0.0
        return max(MIN_PAUSE_SECONDS, turn_seconds * PAUSE_FACTOR)

    async def _page_after(self, position: EventPosition) -> Page | None:
        now = time.monotonic()
        page = self._pages.get(position)
        if page is not None and now - page.read_at < CACHE_SECONDS:
            self._pages.move_to_end(position)
            return page
        rows = await self._store.events_after(position, PAGE_EVENTS)
        if not rows:
            self._end = position
            return None
        end = EventPosition.parse(rows[-1]["event_id"])
        if len(rows) < PAGE_EVENTS:
            self._end = end
        page = self._pages[position] = Page(rows, [_message(row) for row in rows], end, now)
        self._pages.move_to_end(position)
        if len(self._pages) > CACHED_PAGES:
            self._pages.popitem(last=False)
        return page

    async def _follow(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            if not self._waiters:
                self._has_waiters.clear()
                await _wait_for_any(self._has_waiters, stopping)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), POLL_SECONDS)
            if stopping.is_set() or await self._has_new_event():
                self._changed.set()
                self._changed = asyncio.Event()

    async def _has_new_event(self) -> bool:
        """Tell whether the projection has an event after the last known one."""
        if self._end is None:
            return True
        try:
            return bool(await self._store.events_after(self._end, 1))
        except WorkflowError:
            return True  # each stream meets the error itself, and ends


async def _wait_for_any(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _message(row: dict[str, Any]) -> bytes:
    data = json.dumps(streamed_event(row))
    return f"id: {row['cursor']}\nevent: {row['event_name']}\ndata: {data}\n\n".encode()
