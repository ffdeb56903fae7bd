"""The plain client: documented SDK calls, one transaction at a time, reads by `call`.

It is a process of its own, so that its memory can be told.
"""

import asyncio
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass

from .memory import resident
from .target import Target

ITEMS, READS = 4, 5
"""Each takes the node half a second."""


@dataclass(frozen=True)
class Plain:
    """What the plain client needs: seconds of an item and of a read, events a second, megabytes."""

    item_seconds: float
    read_seconds: float
    events_per_second: float
    megabytes: float


async def measure(target: Target) -> Plain:
    """Run the plain client on the benchmark's contract."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await running.communicate(json.dumps(asdict(target)).encode())
    if running.returncode:
        raise RuntimeError("the plain client failed")
    return Plain(**json.loads(told))


async def _measure(target: Target) -> Plain:
    items = await _seconds_of_items(target)
    read = await _seconds_of_reads(target)
    events = await _events_per_second(target)
    return Plain(items, read, events, resident("self", "VmHWM"))


async def _seconds_of_items(target: Target) -> float:
    """Submit, claim and complete items one after the other, reading each step back."""
    began = time.perf_counter()
    async with target.client() as client:
        for number in range(ITEMS):
            item_id = f"{target.run}-plain-{number}"
            for function, fields in (
                ("submit_item", {"payload_uri": f"https://example.org/{number}"}),
                ("claim_item", {}),
                ("complete_item", {"result_uri": f"https://example.org/{number}"}),
            ):
                sent = await client.send_tx(
                    target.contract,
                    function,
                    {"item_id": item_id, **fields},
                    mode="checktx",
                    wait_for_tx=True,
                )
                if not sent.finalized:
                    raise RuntimeError(f"{function} failed: {sent.message}")
                await client.call(target.contract, "get_item", {"item_id": item_id})
    return (time.perf_counter() - began) / ITEMS


async def _seconds_of_reads(target: Target) -> float:
    """Return the median time of reading one item by `call`."""
    times = []
    async with target.client() as client:
        for _ in range(READS):
            began = time.perf_counter()
            await client.call(target.contract, "get_item", {"item_id": f"{target.run}-plain-0"})
            times.append(time.perf_counter() - began)
    return statistics.median(times)


async def _events_per_second(target: Target) -> float:
    """Take in events as the SDK's projector example does: a `get_item` for each."""
    began = time.perf_counter()
    async with target.client() as client:
        page = await client.list_events(target.contract, "ItemSubmitted", limit=ITEMS, after_id=0)
        for event in page:
            item_id = (event.data_indexed or {})["item_id"]
            await client.call(target.contract, "get_item", {"item_id": item_id})
    return len(page) / (time.perf_counter() - began)


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_measure(Target(**json.load(sys.stdin)))))))
