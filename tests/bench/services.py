"""The services as their users meet them: over HTTP, and as processes of their own."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from xian_py import Wallet

from workflow_backend.chain.node import Node
from workflow_backend.chain.rpc import Rpc
from workflow_backend.errors import ProjectionUnavailable
from workflow_backend.settings import Settings
from workflow_backend.store import open_store
from workflow_backend.store.base import Store

from .target import Target

COMMAND = Path(sys.executable).with_name("workflow-backend")
BATCH = 500


def percentile(times: list[float], share: float) -> float:
    """Return the time that so large a share of them does not exceed."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


class Api:
    """One API, with a session for the whole measurement."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Return the answer; raises RuntimeError where it is not a success."""
        async with self._session.request(method, self._url + path, json=body) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
            if response.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer}")
            return answer

    async def completed(self) -> int:
        """Return how many items are projected as completed."""
        return int((await self.call("GET", "/projection/summary"))["completed"])


@asynccontextmanager
async def api(url: str, connections: int = 200) -> AsyncIterator[Api]:
    """Open a session with one API."""
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Api(session, url)


async def single_posts(target: Target, items: int, in_flight: int) -> float:
    """POST items one by one, so many side by side; return items a second, until projected."""
    async with api(target.api_url, in_flight) as used:
        before = await used.completed()
        began = time.perf_counter()
        gate = asyncio.Semaphore(in_flight)

        async def post(number: int) -> None:
            async with gate:
                await used.call("POST", "/items", _item(f"{target.run}-single-{number}"))

        await asyncio.gather(*(post(number) for number in range(items)))
        return await _until_completed(used, before + items, began, items)


async def batch_posts(target: Target, items: int) -> float:
    """POST items by the batch; return items completed and projected a second."""
    async with api(target.api_url) as used:
        before = await used.completed()
        ids = [f"{target.run}-batch-{number}" for number in range(items)]
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


async def idle_latency(target: Target, items: int) -> list[float]:
    """Return the seconds from submission to being projected as completed, one item at a time."""
    times = []
    async with api(target.api_url) as used:
        for number in range(items):
            item_id = f"{target.run}-idle-{number}"
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


async def read_latency(url: str, paths: list[str], reads: int) -> list[float]:
    """Return the seconds of reading each path in turn, one request at a time."""
    times = []
    async with api(url) as used:
        for number in range(reads):
            began = time.perf_counter()
            await used.call("GET", paths[number % len(paths)])
            times.append(time.perf_counter() - began)
    return times


@asynccontextmanager
async def process(
    target: Target, service: str, folder: Path, **environment: str
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run one more service on the benchmark's contract, with its state in a folder of its own."""
    with (folder / f"{service}.log").open("wb") as log:
        running = subprocess.Popen(
            [COMMAND, service],
            stdout=log,
            stderr=log,
            env={
                "PATH": os.environ["PATH"],
                "XIAN_NODE_URL": target.node_url,
                "XIAN_CHAIN_ID": target.chain_id,
                "XIAN_WORKFLOW_CONTRACT": target.contract,
                "XIAN_WORKFLOW_STATE_DIR": str(folder),
                "XIAN_WORKFLOW_PROJECTION_PATH": str(folder / "projection.sqlite3"),
                "XIAN_WALLET_PRIVATE_KEY": Wallet().private_key,
                **environment,
            },
        )
    try:
        yield running
    finally:
        running.terminate()
        running.wait(30)


async def backfill(target: Target, events: int) -> float:
    """Project the benchmark's contract, which made the chain's last event; return events a second.

    The clock runs from the projector's first heartbeat, so that Python's start is not in it.
    """
    async with Rpc(target.node_url) as rpc:
        node = Node(rpc, target.contract)
        while (await node.index_status()).lag:
            await asyncio.sleep(0.1)
        newest = (await rpc.query("/recent_events/limit=1"))["items"][0]
    last = f"{newest['block_height']}-{newest['tx_index']}-{newest['event_index']}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings.load(
            {
                "XIAN_CHAIN_ID": target.chain_id,
                "XIAN_WORKFLOW_CONTRACT": target.contract,
                "XIAN_WORKFLOW_PROJECTION_PATH": str(folder / "projection.sqlite3"),
            }
        )
        async with process(target, "projector", folder):
            while not (folder / "projector.heartbeat.json").exists():
                await asyncio.sleep(0.005)
            began = time.perf_counter()
            async with open_store(settings) as store:
                while await _last_event(store) != last:
                    await asyncio.sleep(0.02)
            return events / (time.perf_counter() - began)


async def _last_event(store: Store) -> str | None:
    try:
        return (await store.position()).last_event
    except ProjectionUnavailable:
        return None


def memory() -> dict[str, float]:
    """Return the peak resident megabytes of each service that beats on this machine."""
    found = {}
    state = Path(os.environ["XIAN_WORKFLOW_PROJECTION_PATH"]).parents[1]
    for path in sorted(state.rglob("*.heartbeat.json")):
        beat = json.loads(path.read_text())
        status = Path(f"/proc/{beat['pid']}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        found[beat["service"]] = int(peak.split()[1]) / 1024
    return found
