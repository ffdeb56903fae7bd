"""What all live streams read: pages of events, each read and encoded once for all of them.

Streams take turns. A turn is short, and while others ask the API the turns are so far apart that
they hardly notice: a stream that makes up for a year has time, a request has not.
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
from ..items import Place
from ..store.base import Store, Whose
from .records import streamed_event

log = logging.getLogger(__name__)

PAGE = 40
"""Events a turn: about a millisecond of work."""

POLL_SECONDS = 0.1
WAKE_SECONDS = 1.0
PAGES_KEPT = 64
KEPT_SECONDS = 10.0

BUSY_SECONDS = 1.0
"""For so long after a request others are believed to come."""

REST_FACTOR = 15
LEAST_REST_SECONDS = 0.002
"""While there are others, a turn is followed by a rest: so many times as long, and so long at
least, for what the socket's writing takes."""


@dataclass(frozen=True, slots=True)
class Page:
    """Events behind a place, as rows and as they are sent, and the place behind them."""

    rows: list[dict[str, Any]]
    messages: list[bytes]
    after: Place
    read_at: float

    def seen_by(self, whose: Whose | None) -> bytes:
        """Return the messages of those events that a client may see."""
        if whose is None:
            return b"".join(self.messages)
        pairs = zip(self.rows, self.messages, strict=True)
        return b"".join(message for row, message in pairs if whose.has(row))


class EventFeed:
    """The projection's events for any number of streams.

    `asked_at` tells when somebody else than a stream asked last, by the monotonic clock.
    """

    def __init__(self, store: Store, asked_at: Callable[[], float]) -> None:
        self._store = store
        self._asked_at = asked_at
        self._turn = asyncio.Lock()
        self._pages: OrderedDict[Place, Page] = OrderedDict()
        self._end: Place | None = None
        self._followers = 0
        self._wanted = asyncio.Event()
        self._woken = asyncio.Event()

    @contextlib.asynccontextmanager
    async def following(self, stopping: asyncio.Event) -> AsyncIterator[EventFeed]:
        """Look for new events while a stream waits for them; a stop wakes every stream."""
        async with background(self._follow(stopping), "feed"):
            yield self

    async def turn(self, place: Place, whose: Whose | None) -> tuple[bytes, Place, bool]:
        """Return what a client sees of the next events, the place behind them, and if more follow.

        The place stays the same where there are none. Raises WorkflowError where the projection
        can't be read.
        """
        async with self._turn:
            began = time.perf_counter()
            page = await self._read(place)
            if page is None:
                return b"", place, False
            found = page.seen_by(whose)
            await asyncio.sleep(self._rest(time.perf_counter() - began))
        return found, page.after, len(page.rows) == PAGE

    async def wait(self) -> None:
        """Wait until there may be something new, for a second at most."""
        self._followers += 1
        self._wanted.set()
        try:
            async with asyncio.timeout(WAKE_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            pass
        finally:
            self._followers -= 1

    def _rest(self, took: float) -> float:
        if time.monotonic() - self._asked_at() > BUSY_SECONDS:
            return 0.0
        return max(LEAST_REST_SECONDS, took * REST_FACTOR)

    async def _read(self, place: Place) -> Page | None:
        now = time.monotonic()
        page = self._pages.get(place)
        if page is not None and now - page.read_at < KEPT_SECONDS:
            self._pages.move_to_end(place)
            return page
        rows = await self._store.events_after(place, PAGE)
        if not rows:
            self._end = place
            return None
        after = Place.parse(rows[-1]["id"])
        if len(rows) < PAGE:
            self._end = after
        page = self._pages[place] = Page(rows, [_message(row) for row in rows], after, now)
        self._pages.move_to_end(place)
        if len(self._pages) > PAGES_KEPT:
            self._pages.popitem(last=False)
        return page

    async def _follow(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            if not self._followers:
                self._wanted.clear()
                await _first(self._wanted, stopping)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), POLL_SECONDS)
            if stopping.is_set() or await self._has_more():
                self._woken.set()
                self._woken = asyncio.Event()

    async def _has_more(self) -> bool:
        """Tell whether there is something behind the place that was the last one lately."""
        if self._end is None:
            return True
        try:
            return bool(await self._store.events_after(self._end, 1))
        except WorkflowError:
            return True  # each stream finds out for itself, and says so to its client


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _message(row: dict[str, Any]) -> bytes:
    data = json.dumps(streamed_event(row))
    return f"id: {row['cursor']}\nevent: {row['event']}\ndata: {data}\n\n".encode()
