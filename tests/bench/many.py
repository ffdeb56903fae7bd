"""Lists over many items: a projection filled through the store, read through an API."""

import asyncio
import socket
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp

from workflow_backend.chain.events import Cursor
from workflow_backend.items import START, Event, Item, Place
from workflow_backend.settings import Settings
from workflow_backend.store import open_for_writing
from workflow_backend.store.base import Change

from .services import api, percentile, process, read_latency
from .target import Target

PAGE = 5_000
KINDS, WORKERS, STATUSES = 20, 10, ("completed", "completed", "failed", "processing", "submitted")
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
PATHS = [
    "/items?status=failed",
    "/items?status=processing&limit=50",
    "/items?kind=kind-7",
    "/items?kind=kind-7&status=completed",
    f"/items?requester={'3' * 64}",
    "/items?id_prefix=item-0000001",
    "/items?created_from=2026-01-01T00:00:00Z&created_before=2026-01-01T02:00:00Z",
]
"""One request of each filter; the figure is over all of them."""


async def list_latency(target: Target, sizes: tuple[int, ...], reads: int) -> dict[int, float]:
    """Return the 99th percentile, in seconds, of filtered lists over so many items."""
    found = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            environment = {
                "XIAN_CHAIN_ID": target.chain_id,
                "XIAN_WORKFLOW_CONTRACT": target.contract,
                "XIAN_WORKFLOW_PROJECTION_PATH": str(folder / "projection.sqlite3"),
            }
            await _fill(Settings.load(environment), size)
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = str(free.getsockname()[1])
            async with process(target, "api", folder, XIAN_WORKFLOW_API_PORT=port):
                url = f"http://127.0.0.1:{port}"
                await _until_live(url)
                await read_latency(url, PATHS, len(PATHS) * 3)
                found[size] = percentile(await read_latency(url, PATHS, reads), 0.99)
    return found


async def _until_live(url: str) -> None:
    while True:
        try:
            async with api(url) as used:
                await used.call("GET", "/health/live")
                return
        except aiohttp.ClientError:
            await asyncio.sleep(0.05)


async def _fill(settings: Settings, size: int) -> None:
    async with open_for_writing(settings) as store:
        since = START
        for start in range(0, size, PAGE):
            numbers = range(start, min(start + PAGE, size))
            events = [_event(number) for number in numbers]
            cursor = Cursor(events[-1].place)
            items = [_item(number) for number in numbers]
            await store.apply(Change(since, events, items, cursor, events[-1].place.height))
            since = cursor.place


def _time(number: int) -> str:
    return str((FIRST + timedelta(seconds=number)).replace(tzinfo=None))


def _event(number: int) -> Event:
    item = _item(number)
    data = {"item_id": item.item_id, "kind": item.kind, "requester": item.requester}
    place = Place(number // 100 + 1, 0, number % 100)
    return Event(place, "ItemSubmitted", data, f"{number:064X}", item.created_at, number)


def _item(number: int) -> Item:
    status = STATUSES[number % len(STATUSES)]
    return Item(
        item_id=f"item-{number:08}",
        requester=str(number % WORKERS) * 64,
        kind=f"kind-{number % KINDS}",
        payload_uri=f"https://example.org/{number}",
        metadata_ref="",
        client="",
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
