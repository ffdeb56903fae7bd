"""What streams read: small turns, pages that are read once, rests while others ask."""

import asyncio
import time
from typing import Any

import pytest

from workflow_backend.api import feed as feed_module
from workflow_backend.api.feed import PAGE_EVENTS, EventFeed
from workflow_backend.errors import ProjectionUnavailable
from workflow_backend.items import START, EventPosition
from workflow_backend.store.base import ClientScope


class Store:
    """A projection with an event in each block; `asked` are the positions that were read behind."""

    def __init__(self, events: int) -> None:
        self.events = events
        self.asked: list[EventPosition] = []
        self.away = False

    async def events_after(self, position: EventPosition, limit: int) -> list[dict[str, Any]]:
        self.asked.append(position)
        if self.away:
            raise ProjectionUnavailable
        first = max(0, position.height + 1)
        return [
            {
                "event_id": f"{height}-0-0",
                "cursor": f"{height}-0-0",
                "created_at": "2026-01-01 00:00:00",
                "time": "2026-01-01T00:00:01.000000Z",
                "event_name": "ItemSubmitted",
                "data": {"requester": "r"},
                "client": "odd" if height % 2 else "even",
                "requester": "r",
            }
            for height in range(first, min(self.events, first + limit))
        ]


async def _all(feed: EventFeed, scope: ClientScope | None = None) -> list[str]:
    position, more, got = START, True, b""
    while more:
        found, position, more = await feed.read(position, scope)
        got += found
    return [line[4:].decode() for line in got.splitlines() if line.startswith(b"id: ")]


def _quiet() -> float:
    return -1e9


async def test_feed_gives_every_event_in_order_and_to_each_its_own() -> None:
    feed: Any = EventFeed(Store(3 * PAGE_EVENTS + 7), _quiet)  # type: ignore[arg-type]
    everything = [f"{height}-0-0" for height in range(3 * PAGE_EVENTS + 7)]
    assert await _all(feed) == everything
    assert await _all(feed, ClientScope("odd", ("r",))) == everything[1::2]
    assert await _all(feed, ClientScope("odd", ("other",))) == []


async def test_feed_reads_a_page_once_for_all_streams() -> None:
    store = Store(10 * PAGE_EVENTS)
    feed = EventFeed(store, _quiet)  # type: ignore[arg-type]
    streams = await asyncio.gather(*(_all(feed) for _ in range(50)))
    assert {len(stream) for stream in streams} == {10 * PAGE_EVENTS}
    last = 10 * PAGE_EVENTS - 1
    assert len([position for position in store.asked if position.height < last]) == 10


async def test_feed_pauses_between_turns_while_requests_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rests: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        rests.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    ticks = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) * 0.001)
    busy = EventFeed(Store(3 * PAGE_EVENTS), time.monotonic)  # type: ignore[arg-type]
    await _all(busy)
    # One part in at least ten is what streams may take of the time.
    assert len(rests) == 3
    assert min(rests) >= 0.010
    rests.clear()
    await _all(EventFeed(Store(3 * PAGE_EVENTS), _quiet))  # type: ignore[arg-type]
    assert rests == [0.0] * 3


async def test_feed_gives_each_stream_its_turn() -> None:
    feed = EventFeed(Store(1000 * PAGE_EVENTS), _quiet)  # type: ignore[arg-type]
    turns: list[int] = []

    async def stream(number: int, begin: int) -> None:
        position = EventPosition(begin, 0, 0)
        for _ in range(20):
            _, position, _ = await feed.read(position, None)
            turns.append(number)

    await asyncio.gather(*(stream(number, number * 50 * PAGE_EVENTS) for number in range(5)))
    for begin in range(0, 100, 5):
        assert sorted(turns[begin : begin + 5]) == [0, 1, 2, 3, 4]


async def test_feed_wakes_streams_for_a_new_event_and_for_a_stop() -> None:
    store, stopping = Store(1), asyncio.Event()
    async with EventFeed(store, _quiet).following(stopping) as feed:  # type: ignore[arg-type]
        _, position, more = await feed.read(START, None)
        assert not more
        for stop in (False, True):
            waiting = asyncio.create_task(feed.wait())
            await asyncio.sleep(0)
            store.events = 2
            if stop:
                stopping.set()
            began = time.monotonic()
            await waiting
            assert time.monotonic() - began < feed_module.WAIT_SECONDS * 0.9
            _, position, _ = await feed.read(position, None)
        assert position == EventPosition(1, 0, 0)


async def test_feed_reads_nothing_while_nobody_waits() -> None:
    store = Store(1)
    async with EventFeed(store, _quiet).following(asyncio.Event()):  # type: ignore[arg-type]
        await asyncio.sleep(3 * feed_module.POLL_SECONDS)
    assert store.asked == []


async def test_feed_tells_each_stream_what_is_wrong() -> None:
    store = Store(1)
    store.away = True
    feed = EventFeed(store, _quiet)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(ProjectionUnavailable):
            await feed.read(START, None)
    store.away = False
    assert await _all(feed) == ["0-0-0"]
