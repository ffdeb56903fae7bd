"""Leases between two workers: who holds an item, and who takes it over."""

import signal
import time
from collections import Counter

import pytest

from workflow_backend.items import Item

from ..stack import eventually
from .harness import Queue, end, fresh, holds, is_working, runs, seen

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_lease_is_kept_by_the_living_and_passes_from_the_dead_on_an_idle_chain(
    queue: Queue,
) -> None:
    first, second = queue.workers
    first.start("handlers", "processor")
    (long, dead) = fresh(2)
    await queue.submit(long, payload="sleep:8")
    await queue.until(long, "processing")
    second.start("handlers", "processor")
    item = await queue.until(long, "completed")
    assert (item.attempt, item.worker) == (1, first.worker)

    await end(second, "processor", signal.SIGTERM)
    gate = queue.gate()
    await queue.submit(dead, payload=f"until:{gate}")
    await holds(lambda: runs(first, dead), "the first run")
    second.start("processor")
    since = time.monotonic()
    await end(first, "processor", signal.SIGKILL)
    await end(first, "handlers", signal.SIGKILL)
    gate.touch()
    item = await queue.until(dead, "completed")
    assert (item.attempt, item.worker) == (2, second.worker)
    assert len(runs(second, dead)) == 1
    assert runs(first, dead)[0][0] == runs(second, dead)[0][0], "one key for every worker"
    assert time.monotonic() - since > 4.0, "the lease had not passed"


async def test_worker_that_lost_its_lease_gives_up_and_reports_nothing(queue: Queue) -> None:
    first, second = queue.workers
    first.start("handlers", "processor")
    (item_id,) = fresh()
    await queue.submit(item_id, payload=f"until:{queue.gate()}")
    await holds(lambda: runs(first, item_id), "the first run")
    stopped = first.running["processor"]
    stopped.send_signal(signal.SIGSTOP)
    second.start("handlers", "processor")

    async def taken() -> Item | None:
        item = await queue.item(item_id)
        return item if item.worker == second.worker else None

    await eventually(taken, "a take-over", 40)
    ((*_, process),) = runs(first, item_id)
    stopped.send_signal(signal.SIGCONT)
    await holds(lambda: not seen(process, "stat"), "the end of the first run")
    item = await queue.item(item_id)
    assert (item.status, item.worker, item.attempt) == ("processing", second.worker, 2)


async def test_two_workers_share_a_queue_and_do_each_item_once(queue: Queue) -> None:
    for worker in queue.workers:
        worker.start("handlers", "processor")
    for worker in queue.workers:
        await is_working(worker)
    ids = fresh(200)
    # In portions: the workers come to know of each other, and find more than they can take.
    for start in range(0, len(ids), 50):
        await queue.submit(*ids[start : start + 50])
    items = await queue.all_settled(ids)
    assert {(item.status, item.attempt) for item in items} == {("completed", 1)}
    shares = Counter(str(item.worker) for item in items)
    assert set(shares) == {worker.worker for worker in queue.workers}
    assert min(shares.values()) >= 30, shares
    for item in items:
        done = [runs(worker, item.item_id) for worker in queue.workers]
        assert sorted(len(each) for each in done) == [0, 1]
