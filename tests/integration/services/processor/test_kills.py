"""Kills at the worst moments: nothing is lost, and no result is asked for twice."""

import signal

import pytest

from ..proxy import FORWARD, LOSE_REQUEST, BadLine
from .harness import Queue, end, fresh, holds, journal_rows, runs

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_kill_of_the_handlers_costs_one_try(queue: Queue) -> None:
    worker = queue.workers[0]
    worker.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "60"  # so long it waits for handlers to come back
    worker.start("handlers", "processor")
    (item_id,) = fresh()
    gate = queue.gate()
    await queue.submit(item_id, payload=f"until:{gate}")
    await holds(lambda: runs(worker, item_id), "the first run")
    await end(worker, "handlers", signal.SIGKILL)
    gate.touch()
    worker.start("handlers")
    item = await queue.until(item_id, "completed")
    assert (item.attempt, item.result_uri) == (1, "done:2")
    worker.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "5"


async def test_item_that_was_claimed_and_not_run_is_run_after_a_kill(queue: Queue) -> None:
    worker = queue.workers[0]
    worker.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "60"
    worker.start("handlers", "processor")
    (warm, item_id) = fresh(2)
    await queue.submit(warm)
    await queue.until(warm, "completed")
    worker.running["handlers"].send_signal(signal.SIGSTOP)  # it takes jobs, and does none
    await queue.submit(item_id)
    await queue.until(item_id, "processing")
    await end(worker, "processor", signal.SIGKILL)
    await end(worker, "handlers", signal.SIGKILL)
    assert runs(worker, item_id) == []
    worker.start("handlers", "processor")
    assert (await queue.until(item_id, "completed")).attempt == 1
    assert len(runs(worker, item_id)) == 1
    worker.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "5"


async def test_claim_that_comes_into_a_block_after_a_kill_is_found_and_run(queue: Queue) -> None:
    worker = queue.workers[0]
    lost = BadLine(lambda _: LOSE_REQUEST)
    async with lost.to(worker.node_url) as line:
        worker.extra["XIAN_NODE_URL"] = line.url
        worker.start("handlers", "processor")
        (item_id,) = fresh()
        await queue.submit(item_id)
        await holds(lambda: line.broadcasts, "a claim on its way")
        await end(worker, "processor", signal.SIGKILL)
    del worker.extra["XIAN_NODE_URL"]
    state = "SELECT state FROM open_items WHERE item_id = ?"
    assert journal_rows(worker, state, item_id) == [("claiming",)], "it is written down first"
    assert (await queue.item(item_id)).status == "submitted"
    worker.start("processor")
    answer = await queue.node.rpc.write("broadcast_tx_sync", tx=line.broadcasts[0])
    assert answer["code"] == 0, answer
    assert (await queue.until(item_id, "completed")).attempt == 1
    assert len(runs(worker, item_id)) == 1


async def test_result_is_reported_after_a_kill_without_another_run(
    queue: Queue,
) -> None:
    worker = queue.workers[0]
    worker.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "60"
    claim_only = BadLine(lambda number: FORWARD if number == 0 else LOSE_REQUEST)
    async with claim_only.to(worker.node_url) as line:
        worker.extra["XIAN_NODE_URL"] = line.url
        worker.start("handlers", "processor")
        (item_id,) = fresh()
        await queue.submit(item_id)
        await queue.until(item_id, "processing")
        await holds(lambda: len(line.broadcasts) > 1, "a report on its way")
        assert len(runs(worker, item_id)) == 1
        await end(worker, "processor", signal.SIGKILL)
    del worker.extra["XIAN_NODE_URL"]
    worker.start("processor")
    item = await queue.until(item_id, "completed")
    assert (item.attempt, item.result_uri) == (1, "done:1")
    assert len(runs(worker, item_id)) == 1
    worker.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "5"
