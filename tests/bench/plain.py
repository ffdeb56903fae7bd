"""The plain client: documented SDK calls, one transaction at a time, reads by `call`."""

import statistics
import time

from .target import Target


async def items_per_second(target: Target, items: int) -> float:
    """Submit, claim and complete items one after the other, reading each step back."""
    began = time.perf_counter()
    async with target.client() as client:
        for number in range(items):
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
    return items / (time.perf_counter() - began)


async def events_per_second(target: Target, events: int) -> float:
    """Take in events as the SDK's projector example does: a `get_item` for each."""
    began = time.perf_counter()
    async with target.client() as client:
        page = await client.list_events(target.contract, "ItemSubmitted", limit=events, after_id=0)
        for event in page:
            item_id = (event.data_indexed or {})["item_id"]
            await client.call(target.contract, "get_item", {"item_id": item_id})
    return len(page) / (time.perf_counter() - began)


async def read_seconds(target: Target, reads: int) -> float:
    """Return the median time of reading one item by `call`."""
    times = []
    async with target.client() as client:
        for _ in range(reads):
            began = time.perf_counter()
            await client.call(target.contract, "get_item", {"item_id": f"{target.run}-plain-0"})
            times.append(time.perf_counter() - began)
    return statistics.median(times)
