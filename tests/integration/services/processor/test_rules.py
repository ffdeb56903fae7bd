"""What the contract's rules mean to processors: order, times, dependencies, pauses and stops."""

import asyncio
import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from workflow_backend.chain import contract
from workflow_backend.items import Item

from ..stack import NEWEST, Stack, operate
from .harness import Queue, beat, fresh, holds, is_working, runs

VERSION = NEWEST
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def submit(queue: Queue, item_id: str, payload: str = "p", **rules: Any) -> None:
    outcome = await queue.requester.submit(contract.submit(item_id, payload, "work", "", **rules))
    assert outcome.ok, outcome


async def stop(queue: Queue, item: Item, reason: str = "no need") -> None:
    outcome = await queue.requester.submit(contract.stop(item, reason))
    assert outcome.ok, outcome


def waits_for(worker: Stack, number: int) -> bool:
    return bool(beat(worker).get("held_back") == {"waiting": number})


def claimed(items: Sequence[Item]) -> list[str]:
    """Return ids in the order in which the items were claimed, as far as the blocks tell."""
    return [item.item_id for item in sorted(items, key=lambda item: item.updated_at)]


async def test_items_are_claimed_by_priority(queue: Queue) -> None:
    worker = queue.workers[0]
    gate = queue.gate()
    low, high = fresh(25), fresh(20)
    for item_id in low:
        await submit(queue, item_id, f"until:{gate}", priority=9)
    for item_id in high:
        await submit(queue, item_id, f"until:{gate}", priority=0)
    worker.start("processor", "handlers")
    first = await queue.until(high[-1], "processing")
    assert first.priority == 0
    # The handlers take 20 at once, which are all of the first ones.
    held = [item for item in await queue.node.items(low) if item and item.status == "processing"]
    assert held == []
    gate.touch()
    await queue.all_settled(low + high)


async def test_item_is_claimed_within_seconds_of_its_time(queue: Queue) -> None:
    queue.workers[0].start("processor", "handlers")
    await is_working(queue.workers[0])
    (item_id,) = fresh()
    not_before = math.ceil(time.time()) + 3
    await submit(queue, item_id, not_before=not_before)
    await holds(lambda: beat(queue.workers[0]).get("held_back") == {"early": 1}, "a held item")
    assert (await queue.item(item_id)).status == "submitted"
    await queue.until(item_id, "completed")
    assert not_before <= time.time() < not_before + 5


async def test_item_runs_after_those_that_it_names(queue: Queue) -> None:
    for worker in queue.workers:
        worker.start("processor", "handlers")
    top, left, right, bottom = fresh(4)
    gate = queue.gate()
    await submit(queue, top, f"until:{gate}")
    await submit(queue, left, after=[top])
    await submit(queue, right, after=[top])
    await submit(queue, bottom, after=[left, right])
    await queue.until(top, "processing")
    for worker in queue.workers:
        await holds(partial(waits_for, worker, 3), "three items that wait")
    gate.touch()
    items = await queue.all_settled([top, left, right, bottom])
    assert {item.status for item in items} == {"completed"}
    assert [item.attempt for item in items] == [1, 1, 1, 1]
    assert claimed(items)[0] == top
    assert claimed(items)[-1] == bottom


async def test_item_behind_one_that_failed_waits_and_is_reported(queue: Queue) -> None:
    worker = queue.workers[0]
    worker.start("processor", "handlers")
    first, second = fresh(2)
    await submit(queue, first, "fail")
    await submit(queue, second, after=[first])
    await queue.until(first, "failed")
    await holds(lambda: beat(worker).get("held_back") == {"blocked": 1}, "a blocked item")
    assert (await queue.item(second)).attempt == 0
    outcome = await queue.requester.submit(contract.cancel(await queue.item(second), ""))
    assert outcome.ok
    await holds(lambda: beat(worker).get("held_back") == {}, "nothing held back")


async def test_paused_kind_is_not_claimed_until_it_is_resumed(queue: Queue) -> None:
    worker = queue.workers[0]
    worker.start("processor", "handlers")
    await is_working(worker)
    await operate(queue.chain, queue.node.contract, "pause_claims", kind="work", reason="flood")
    await holds(lambda: beat(worker).get("paused") == ["work"], "the pause")
    (item_id,) = fresh()
    await submit(queue, item_id)
    nonce = await queue.node.committed_nonce(worker.worker)
    await asyncio.sleep(2)  # nothing is to be seen
    assert (await queue.item(item_id)).status == "submitted"
    assert await queue.node.committed_nonce(worker.worker) == nonce
    await operate(queue.chain, queue.node.contract, "resume_claims", kind="work")
    await queue.until(item_id, "completed")


async def test_stop_ends_a_try_and_nobody_runs_the_item_again(queue: Queue) -> None:
    for worker in queue.workers:
        worker.start("processor", "handlers")
    (item_id,) = fresh()
    await submit(queue, item_id, "sleep:600")
    item = await queue.until(item_id, "processing")
    await holds(lambda: any(runs(w, item_id) for w in queue.workers), "the run")
    await stop(queue, item, "too late")
    ended = await queue.until(item_id, "cancelled")
    assert (ended.failure_reason, ended.attempt) == ("too late", 1)
    assert ended.stop_requested_by == queue.requester.address


async def test_stop_between_tries_ends_the_item(queue: Queue) -> None:
    queue.workers[0].start("processor", "handlers")
    (item_id,) = fresh()
    await submit(queue, item_id, "hour")
    item = await queue.until(item_id, "processing")
    await holds(lambda: runs(queue.workers[0], item_id), "the first try")
    await stop(queue, item)
    await queue.until(item_id, "cancelled")
    assert len(runs(queue.workers[0], item_id)) == 1


async def test_stopped_item_of_a_dead_worker_is_ended_by_another(queue: Queue) -> None:
    first, second = queue.workers
    first.start("processor", "handlers")
    (item_id,) = fresh()
    await submit(queue, item_id, "sleep:600")
    item = await queue.until(item_id, "processing")
    first.end_all()
    second.start("processor", "handlers")
    await is_working(second)
    await stop(queue, await queue.item(item_id))
    ended = await queue.until(item_id, "cancelled")
    assert (ended.attempt, ended.worker) == (item.attempt, item.worker)
    assert runs(second, item_id) == []


async def test_stop_that_comes_while_the_worker_is_away_is_obeyed_at_its_start(
    queue: Queue,
) -> None:
    worker = queue.workers[0]
    worker.start("processor", "handlers")
    (item_id,) = fresh()
    await submit(queue, item_id, "sleep:600")
    await queue.until(item_id, "processing")
    await holds(lambda: runs(worker, item_id), "the run")
    worker.end_all()
    await stop(queue, await queue.item(item_id))
    worker.start("processor", "handlers")
    await queue.until(item_id, "cancelled")
    assert len(runs(worker, item_id)) == 1


async def test_stop_leaves_what_is_done_already(queue: Queue) -> None:
    queue.workers[0].start("processor", "handlers")
    (item_id,) = fresh()
    await submit(queue, item_id)
    await queue.until(item_id, "completed")
    outcome = await queue.requester.submit(contract.stop(await queue.item(item_id), ""))
    assert outcome.code == "state"
