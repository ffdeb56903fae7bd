"""A worker that serves an earlier contract beside the current one, while the earlier one drains."""

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from ..stack import NEWEST, Stack, deploy, set_worker
from .harness import FILE, Queue, beat, end, fresh, holds, requesting, runs

pytestmark = pytest.mark.asyncio(loop_scope="module")

SMALL = """
[job]
handler = "echo"
[work]
handler = "python"
function = "hands:work"
concurrency = 2
"""


@pytest_asyncio.fixture(loop_scope="module")
async def current(queue: Queue) -> AsyncIterator[Queue]:
    """The queue of the contract that follows, with the same worker on it."""
    worker = queue.workers[0]
    name = f"con_{uuid.uuid4().hex[:12]}"
    await deploy(queue.chain, name, [worker.worker], NEWEST)
    async with requesting(queue.chain, name) as (reader, submitter):
        yield replace(queue, node=reader, requester=submitter)


@pytest.fixture
def worker(queue: Queue, current: Queue) -> Stack:
    """The worker, which serves both contracts."""
    worker = queue.workers[0]
    worker.extra["XIAN_WORKFLOW_EARLIER_CONTRACTS"] = queue.node.contract
    worker.contract = current.node.contract
    worker.handlers = FILE
    return worker


async def test_worker_does_the_items_of_both_contracts(
    queue: Queue, current: Queue, worker: Stack
) -> None:
    both = fresh(1)  # an id says nothing about the contract that has it
    old, new = fresh(30), fresh(30)
    await queue.submit(*both, *old)
    await current.submit(*both, *new)
    worker.start("processor", "handlers")
    for side, ids in ((queue, [*both, *old]), (current, [*both, *new])):
        items = await side.all_settled(ids)
        assert {(item.status, item.attempt) for item in items} == {("completed", 1)}
    for item_id in old + new:
        assert len(runs(worker, item_id)) == 1
    keys = {key for key, *_ in runs(worker, both[0])}
    assert keys == {
        f"{queue.chain.chain_id}/{side.node.contract}/{both[0]}" for side in (queue, current)
    }


async def test_kinds_concurrency_is_shared_by_the_contracts(
    queue: Queue, current: Queue, worker: Stack
) -> None:
    worker.handlers = SMALL
    gate = queue.gate()
    old, new = fresh(4), fresh(4)
    await queue.submit(*old, payload=f"until:{gate}")
    await current.submit(*new, payload=f"until:{gate}")
    worker.start("processor", "handlers")
    await holds(lambda: beat(worker).get("held") == 2, "two items in hand")
    held = [*await queue.node.items(old), *await current.node.items(new)]
    assert [item.status for item in held if item].count("processing") == 2
    gate.touch()
    await queue.all_settled(old)
    await current.all_settled(new)


async def test_killed_worker_goes_on_with_both_contracts(
    queue: Queue, current: Queue, worker: Stack
) -> None:
    gate = queue.gate()
    old, new = fresh(3), fresh(3)
    await queue.submit(*old, payload=f"until:{gate}")
    await current.submit(*new, payload=f"until:{gate}")
    worker.start("processor", "handlers")
    for side, ids in ((queue, old), (current, new)):
        for item_id in ids:
            await side.until(item_id, "processing")
    await end(worker, "processor", signal.SIGKILL)
    gate.touch()
    worker.start("processor")
    items = [*await queue.all_settled(old), *await current.all_settled(new)]
    assert {(item.status, item.attempt) for item in items} == {("completed", 1)}


async def test_worker_without_rights_on_the_earlier_contract_does_the_current_ones_items(
    queue: Queue, current: Queue, worker: Stack
) -> None:
    await set_worker(queue.chain, queue.node.contract, "remove_worker", worker.worker)
    old, new = fresh(1), fresh(3)
    await queue.submit(*old)
    worker.start("processor", "handlers")
    await holds(lambda: "only workers" in beat(worker).get("problem", ""), "the missing right")
    await current.submit(*new)
    await current.all_settled(new)
    assert (await queue.item(old[0])).status == "submitted"


async def test_worker_refuses_to_serve_a_contract_that_is_not_there(worker: Stack) -> None:
    worker.extra["XIAN_WORKFLOW_EARLIER_CONTRACTS"] = "con_absent"
    worker.start("processor")
    assert await asyncio.to_thread(worker.running["processor"].wait, 30) == 1
    assert "the contract con_absent is not on this chain" in worker.log("processor")
