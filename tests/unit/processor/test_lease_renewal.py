"""Leases: renewed while an item is held, and what becomes of an item whose lease is lost."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from workflow_backend.errors import TransactionFailed
from workflow_backend.processor import lease_renewal
from workflow_backend.processor.handlers.job import Answer
from workflow_backend.processor.schema import State
from workflow_backend.watchdog import LoopWatchdog

from .doubles import LEASE, item, until
from .workers import Worker


@contextlib.asynccontextmanager
async def renewing(worker: Worker) -> AsyncIterator[None]:
    """Renew leases while the block runs."""
    task = asyncio.create_task(worker.runner.renew_leases(LoopWatchdog("renewal")))
    yield
    task.cancel()


async def test_worker_without_rights_starts_no_handler_anew(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_renewal, "CHECK_SECONDS", 0.01)
    worker.chain.refusals["renew"] = deque(["forbidden"])
    worker.start(replace(item(), lease_seconds=0))  # each look at the leases finds it late
    await until(lambda: worker.hands.jobs)
    async with renewing(worker):
        await worker.until_idle()
    worker.start(item(), is_recovered=True)
    await worker.until_idle()
    assert len(worker.hands.jobs) == 1
    assert worker.due_in() == pytest.approx(LEASE, abs=5)


async def test_report_that_waits_is_renewed_meanwhile(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_renewal, "CHECK_SECONDS", 0.01)
    worker.chain.refusals["complete"] = deque([TransactionFailed("too little chi")])
    worker.hands.answers.append(Answer("completed", "r"))
    worker.start(replace(item(), lease_seconds=0))
    async with renewing(worker):
        await until(lambda: worker.chain.count("complete") and worker.chain.count("renew") > 2)
        assert len(worker.runner) == 1


@pytest.mark.parametrize("code", ["forbidden", "stale"])
async def test_refused_renewal_does_not_end_the_report_of_a_result(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    monkeypatch.setattr(lease_renewal, "CHECK_SECONDS", 0.01)
    worker.chain.refusals["renew"] = deque([code])
    worker.chain.refusals["complete"] = deque([TransactionFailed("too little chi")])
    worker.hands.answers.append(Answer("completed", "r"))
    worker.start(replace(item(), lease_seconds=0))
    await until(lambda: worker.chain.count("complete"))
    async with renewing(worker):
        await until(lambda: worker.chain.count("renew") > 2)
    (task,) = (job.task for job in worker.runner._jobs.values())
    assert task is not None
    assert not task.cancelling()
    assert worker.journal.in_state(State.REPORTING) == {"a"}
    # Items that end in an outage would each log one.
    assert "renew refused" not in caplog.text
    # The result is reported once the chain takes reports again, and the handler did not run anew.
    worker.chain.refusals.clear()
    await worker.until_idle()
    assert worker.chain.sent[-1] == ("complete", "a")
    assert len(worker.hands.jobs) == 1
    assert worker.due_in() is None


@pytest.mark.parametrize(("code", "pause"), [("forbidden", LEASE), ("stale", 0)])
async def test_refused_renewal_ends_the_handler(
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    code: str,
    pause: float,
) -> None:
    monkeypatch.setattr(lease_renewal, "CHECK_SECONDS", 0.01)
    worker.chain.refusals["renew"] = deque([code])
    worker.start(item())
    await until(lambda: worker.hands.jobs)
    (job,) = worker.runner._jobs.values()
    job.renewed_at -= LEASE
    async with renewing(worker):
        await worker.until_idle()
    assert worker.chain.sent == [("renew", "a")]
    assert caplog.text.count("item a: renew refused") == 1
    assert worker.due_in() == pytest.approx(pause, abs=5)


async def test_stop_that_only_a_renewal_tells_of_ends_the_item(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_renewal, "CHECK_SECONDS", 0.01)
    worker.chain.refusals["renew"] = deque(["stopping"])
    worker.start(replace(item(), lease_seconds=0))
    await until(lambda: worker.hands.jobs)
    async with renewing(worker):
        await worker.until_idle()
    assert [name for name, _ in worker.chain.sent][-1] == "cancel"
    assert worker.due_in() is None
