"""Lists over many items: a projection filled through the store, read through an API."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from urllib.parse import urlencode

from xian_py import Wallet

from workflow_backend.chain.events import Cursor
from workflow_backend.items import START, Block, Event, EventPosition, Item
from workflow_backend.settings import Settings
from workflow_backend.store import open_for_writing, open_store
from workflow_backend.store.base import Change, ClientScope, ItemFilter
from workflow_backend.times import rfc3339

from .memory import Memory
from .processes import CLIENT, Served, guarded_api
from .requests import api, percentile
from .target import Target

PAGE = 5_000
KINDS, WORKERS, STATUSES = 20, 10, ("completed", "completed", "failed", "processing", "submitted")
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = ("2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z")
OURS = 3
"""The API's wallet submitted every tenth item, for the token of CLIENT."""

FILTERS: tuple[dict[str, str], ...] = (
    {"status": "failed"},
    {"status": "processing"},
    {"kind": "kind-7"},
    {"kind": "kind-6", "status": "completed"},
    {"requester": "4" * 64},
    {"worker": "6" * 64, "kind": "kind-16"},
    {"id_prefix": "item-0000001"},
    {"created_from": HOURS[0], "created_before": HOURS[1]},
    {"updated_from": HOURS[0], "updated_before": HOURS[1], "status": "failed"},
)
"""The operator's lists, one of each filter; a client's are those of `OWN`, among its own items."""

OWN: tuple[dict[str, str], ...] = ({}, {"status": "processing"}, {"kind": "kind-13"})
NOISE = 0.001
"""Seconds below which two medians are the same: a request takes that long by itself."""


@dataclass(frozen=True)
class Lists:
    """Seconds of lists over so many items: all of the API's by filter, all of the store's."""

    asked: dict[str, list[float]]
    store: list[float]

    @property
    def p99(self) -> float:
        """The 99th percentile over all filters."""
        return percentile([one for times in self.asked.values() for one in times], 0.99)


def growth(few: Lists, many: Lists) -> tuple[float, str]:
    """Return how many times longer the filter takes that grew most, by the median, and which."""
    return max(
        (max(median(many.asked[name]), NOISE) / max(median(few.asked[name]), NOISE), name)
        for name in few.asked
    )


async def lists(target: Target, memory: Memory, size: int, reads: int) -> Lists:
    """Fill a projection and read each list so often, one request at a time."""
    wallet = Wallet()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = target.projection(folder)
        settings = Settings.load(environment)
        await _fill(settings, size, wallet.public_key)
        async with guarded_api(memory, folder, wallet, **environment) as served:
            asked = await _of_the_api(served, served.admin, FILTERS, reads)
            asked |= await _of_the_api(served, served.client, OWN, reads)
            return Lists(asked, await _of_the_store(settings, wallet.public_key, reads))


async def _of_the_api(
    served: Served, token: str, filters: tuple[dict[str, str], ...], reads: int
) -> dict[str, list[float]]:
    scope = "operator" if token == served.admin else "client"
    times: dict[str, list[float]] = {}
    async with api(served.url, token) as used:
        for number in range(-3, reads):  # the first of each fill caches
            for which in filters:
                path = f"/items?{urlencode(which)}"
                seconds = await used.seconds(path)
                if number >= 0:
                    times.setdefault(f"{path}, {scope}", []).append(seconds)
    return times


async def _of_the_store(settings: Settings, account: str, reads: int) -> list[float]:
    """Return the seconds of the same lists, asked of the store without an API before it."""
    scope = ClientScope(CLIENT, (account,))
    asked = [_filter(which) for which in FILTERS] + [_filter(which, scope) for which in OWN]
    times = []
    async with open_store(settings) as store:
        for number in range(-3, reads):
            for which in asked:
                began = perf_counter()
                await store.items(which)
                if number >= 0:
                    times.append(perf_counter() - began)
    return times


def _filter(which: dict[str, str], scope: ClientScope | None = None) -> ItemFilter:
    fields: dict[str, Any] = {
        name: datetime.fromisoformat(value) if name.endswith(("_from", "_before")) else value
        for name, value in which.items()
    }
    return ItemFilter(**fields, scope=scope)


async def _fill(settings: Settings, size: int, account: str) -> None:
    async with open_for_writing(settings) as store:
        since = START
        for start in range(0, size, PAGE):
            items = [_item(number, account) for number in range(start, min(start + PAGE, size))]
            events = [_event(number, item) for number, item in enumerate(items, start)]
            cursor = Cursor(events[-1].position)
            blocks = {event.position.height: _block(event.position.height) for event in events}
            height = events[-1].position.height
            await store.apply(Change(since, events, items, cursor, height, blocks))
            since = cursor.position


def _time(number: int) -> str:
    return str((FIRST + timedelta(seconds=number)).replace(tzinfo=None))


def _block(height: int) -> Block:
    first = FIRST + timedelta(seconds=100 * (height - 1))
    return Block(height, f"{height:064X}", rfc3339(first), rfc3339(first + timedelta(seconds=100)))


def _event(number: int, item: Item) -> Event:
    data = {"item_id": item.item_id, "kind": item.kind, "requester": item.requester}
    position = EventPosition(number // 100 + 1, 0, number % 100)
    return Event(position, "ItemSubmitted", data, f"{number:064X}", item.created_at, number)


def _item(number: int, account: str) -> Item:
    status = STATUSES[number % len(STATUSES)]
    ours = number % WORKERS == OURS
    return Item(
        item_id=f"item-{number:08}",
        requester=account if ours else str(number % WORKERS) * 64,
        kind=f"kind-{number % KINDS}",
        payload_uri=f"https://example.org/{number}",
        metadata_ref="",
        client=CLIENT if ours else "",
        status=status,
        worker="" if status == "submitted" else str(number % WORKERS) * 64,
        result_uri="",
        failure_reason="",
        created_at=_time(number),
        updated_at=_time(number + 5),
        attempt=0 if status == "submitted" else 1,
        lease_seconds=60 if status == "processing" else 0,
        contested_at=None,
    )
