"""What the services do, measured from outside as their users meet them."""

import asyncio
import tempfile
import time
from pathlib import Path

from workflow_backend.chain.node import Node
from workflow_backend.chain.rpc import Rpc
from workflow_backend.errors import ProjectionUnavailable
from workflow_backend.settings import Settings
from workflow_backend.store import open_store
from workflow_backend.store.base import Store

from .memory import Memory
from .processes import Served, process
from .requests import Api, api
from .target import Target

BATCH = 500


async def single_posts(served: Served, run: str, items: int, in_flight: int) -> float:
    """POST items one by one, so many side by side; return items a second, until projected."""
    async with api(served.url, served.client, in_flight) as used:
        before = await used.completed()
        began = time.perf_counter()
        gate = asyncio.Semaphore(in_flight)

        async def post(number: int) -> None:
            async with gate:
                await used.call("POST", "/items", _item(f"{run}-single-{number}"))

        await asyncio.gather(*(post(number) for number in range(items)))
        return await _until_completed(used, before + items, began, items)


async def batch_posts(served: Served, run: str, items: int) -> float:
    """POST items by the batch; return items completed and projected a second."""
    async with api(served.url, served.client) as used:
        before = await used.completed()
        ids = [f"{run}-batch-{number}" for number in range(items)]
        began = time.perf_counter()
        answers = await asyncio.gather(
            *(
                used.call("POST", "/items/batch", {"items": [_item(i) for i in ids[n : n + BATCH]]})
                for n in range(0, items, BATCH)
            )
        )
        if sum(answer["accepted"] for answer in answers) != items:
            raise RuntimeError("the API refused a part of a batch")
        return await _until_completed(used, before + items, began, items)


def _item(item_id: str) -> dict[str, str]:
    return {"item_id": item_id, "payload_uri": f"https://example.org/{item_id}"}


async def _until_completed(used: Api, number: int, began: float, items: int) -> float:
    while await used.completed() < number:
        if time.perf_counter() - began > 600:
            raise RuntimeError("not all items were completed in ten minutes")
        await asyncio.sleep(0.05)
    return items / (time.perf_counter() - began)


async def idle_latency(served: Served, run: str, items: int) -> list[float]:
    """Return the seconds from submission to being projected as completed, one item at a time."""
    times = []
    async with api(served.url, served.client) as used:
        for number in range(items):
            item_id = f"{run}-idle-{number}"
            began = time.perf_counter()
            await used.call("POST", "/items", _item(item_id))
            while not await _is_projected(used, item_id):
                await asyncio.sleep(0.005)
            times.append(time.perf_counter() - began)
            await asyncio.sleep(0.2)  # the chain is idle again
    return times


async def _is_projected(used: Api, item_id: str) -> bool:
    projected = (await used.call("GET", f"/items/{item_id}"))["projection"]
    return projected is not None and projected["status"] == "completed"


async def read_latency(served: Served, item_id: str, reads: int) -> list[float]:
    """Return the seconds of reading one item, one request at a time."""
    async with api(served.url, served.client) as used:
        return [await used.seconds(f"/items/{item_id}") for _ in range(reads)]


async def backfill(target: Target, memory: Memory, events: int) -> float:
    """Project the benchmark's contract, which made the chain's last event; return events a second.

    The clock runs from the start of the projector's process.
    """
    async with Rpc(target.node_url) as rpc:
        node = Node(rpc, target.contract)
        while (await node.index_status()).lag:
            await asyncio.sleep(0.1)
        newest = (await rpc.query("/recent_events/limit=1"))["items"][0]
    last = f"{newest['block_height']}-{newest['tx_index']}-{newest['event_index']}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = target.projection(folder)
        began = time.perf_counter()
        async with (
            process("projector", memory, folder, **environment),
            open_store(Settings.load(environment)) as store,
        ):
            while await _last_event_id(store) != last:
                await asyncio.sleep(0.02)
            return events / (time.perf_counter() - began)


async def _last_event_id(store: Store) -> str | None:
    try:
        return (await store.progress()).last_event_id
    except ProjectionUnavailable:
        return None
