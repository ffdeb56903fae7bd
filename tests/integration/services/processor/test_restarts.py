"""Orderly stops and restarts: what ends, what is released, and what outlives them."""

import asyncio
import signal
import socket

import pytest

from .harness import Queue, end, fresh, holds, runs, seen

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_stop_lets_jobs_end_releases_the_rest_and_claims_no_more(
    queue: Queue,
) -> None:
    worker = queue.workers[0]
    worker.extra["XIAN_WORKFLOW_DRAIN_SECONDS"] = "6"
    (brief, long, waits) = fresh(3)
    gate = queue.gate()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        worker.notify["processor"] = str(worker.path / "notify")
        manager.bind(worker.notify["processor"])
        manager.settimeout(20)
        worker.start("handlers", "processor")
        await queue.submit(brief, payload=f"until:{gate}")
        await queue.submit(long, payload=f"until:{queue.gate()}")
        await holds(lambda: runs(worker, brief) and runs(worker, long), "both runs")
        stopping = asyncio.create_task(end(worker, "processor", signal.SIGTERM))
        while "STOPPING=1" not in (await asyncio.to_thread(manager.recv, 4096)).decode():
            pass
        del worker.notify["processor"]
        await queue.submit(waits)
        gate.touch()
        assert await stopping == 0, worker.log("processor")
    assert (await queue.item(brief)).status == "completed"
    given_back = await queue.item(long)
    assert (given_back.status, given_back.attempt) == ("submitted", 1)
    assert (await queue.item(waits)).attempt == 0
    ((*_, process),) = runs(worker, long)
    assert not seen(process, "stat")
    del worker.extra["XIAN_WORKFLOW_DRAIN_SECONDS"]


async def settles_another(queue: Queue) -> None:
    """Have another item done: all that was due before has been looked at."""
    (item_id,) = fresh()
    await queue.submit(item_id)
    await queue.until(item_id, "completed")


async def test_tries_of_an_item_are_counted_over_two_restarts(queue: Queue) -> None:
    worker = queue.workers[0]
    worker.start("handlers", "processor")
    (item_id,) = fresh()
    await queue.submit(item_id, kind="stubborn", payload="never")
    for tries in (1, 2):
        await holds(lambda: len(runs(worker, item_id)) == tries, "the next try")  # noqa: B023
        assert await end(worker, "processor", signal.SIGTERM) == 0, worker.log("processor")
        assert (await queue.item(item_id)).status == "submitted"
        worker.start("processor")
    item = await queue.until(item_id, "failed")
    assert item.failure_reason == "not t?day (given up after 4 tries)"
    assert item.attempt == 3
    assert [run[2] for run in runs(worker, item_id)] == ["1", "2", "3", "4"]


async def test_wait_that_a_handler_asked_for_is_kept_over_two_restarts(queue: Queue) -> None:
    worker = queue.workers[0]
    worker.start("handlers", "processor")
    (item_id,) = fresh()
    await queue.submit(item_id, payload="hour")
    for _ in range(2):
        await holds(lambda: runs(worker, item_id), "the first try")
        await settles_another(queue)
        assert await end(worker, "processor", signal.SIGTERM) == 0, worker.log("processor")
        item = await queue.item(item_id)
        assert (item.status, item.attempt) == ("submitted", 1)
        worker.start("processor")
    await settles_another(queue)
    assert len(runs(worker, item_id)) == 1
    item = await queue.item(item_id)
    assert (item.status, item.attempt) == ("submitted", 1)
