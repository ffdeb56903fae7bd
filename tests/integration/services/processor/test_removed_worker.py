"""A worker that is removed from the contract, and added again."""

import asyncio
import time

import pytest

from ..stack import set_worker
from .harness import Queue, beat, fresh, holds, is_working, runs

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEASE_SECONDS = 5
"""What the workers of the queue ask for."""


async def height(queue: Queue) -> int:
    status = await queue.node.rpc.call("status")
    return int(status["sync_info"]["latest_block_height"])


async def test_removed_worker_asks_once_a_lease_and_goes_on_when_it_is_added_again(
    queue: Queue,
) -> None:
    worker = queue.workers[0]
    held, waits = fresh(2)
    gate = queue.gate()
    worker.start("handlers", "processor")
    await is_working(worker)
    await queue.submit(held, payload=f"until:{gate}")
    await holds(lambda: runs(worker, held), "the first run")

    await set_worker(queue.chain, worker.contract, "remove_worker", worker.worker)
    await queue.submit(waits)
    await holds(lambda: "only workers" in beat(worker).get("problem", ""), "word of the removal")
    begun, before = time.monotonic(), await height(queue)
    while time.monotonic() - begun < 3 * LEASE_SECONDS:
        assert "only workers" in beat(worker).get("problem", "only workers")
        await asyncio.sleep(0.5)
    # One look at each of the two items a lease, and the renewal of one: each may take a block or
    # two, the second one to commit the hash of the first. A loop would make several a second.
    assert await height(queue) - before <= 4 * 2 * 2
    assert (await queue.item(held)).status == "processing"
    assert (await queue.item(waits)).status == "submitted"

    await set_worker(queue.chain, worker.contract, "add_worker", worker.worker)
    gate.touch()
    for item_id in (held, waits):
        item = await queue.until(item_id, "completed")
        assert (item.worker, item.attempt) == (worker.worker, 1)
    assert len(runs(worker, waits)) == 1
    await is_working(worker)
