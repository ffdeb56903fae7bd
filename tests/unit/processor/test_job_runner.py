"""Claimed items: what the chain refuses, what waits, and what outlives a claim."""

import asyncio
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest

from workflow_backend.errors import NodeUnavailable, TransactionFailed, WorkflowError
from workflow_backend.processor import job_runner
from workflow_backend.processor.handlers.job import Answer
from workflow_backend.processor.handlers.kinds import Kind, RetryPolicy
from workflow_backend.processor.schema import FailedTry, PendingItem, State

from .doubles import LEASE, item, until
from .workers import FORBIDDEN, Worker, working


@pytest.mark.parametrize("code", ["forbidden", "invalid"])
async def test_report_that_is_refused_for_good_is_let_go_of_for_a_lease(
    worker: Worker, code: str
) -> None:
    worker.chain.refusals["complete"] = deque([code])
    worker.hands.answers.append(Answer("completed", "r"))
    worker.start(item())
    await worker.until_idle()
    assert worker.chain.sent == [("complete", "a")]
    assert worker.due_in() == pytest.approx(LEASE, abs=5)
    assert worker.runner.problem == f"complete of item a: {FORBIDDEN}"
    # A lease later: the result was written down, and is reported without another run.
    worker.chain.refusals.clear()
    worker.start(item(), is_recovered=True)
    await worker.until_idle()
    assert worker.chain.sent[1:] == [("complete", "a")]
    assert len(worker.hands.jobs) == 1
    assert worker.runner.problem == ""


async def test_lost_report_is_checked_once(worker: Worker) -> None:
    worker.chain.refusals["complete"] = deque(["stale"])
    worker.hands.answers.append(Answer("completed", "r"))
    worker.start(item())
    await worker.until_idle()
    assert (worker.due_in() or 0) <= 0
    assert worker.runner.problem == ""


async def test_recovered_item_is_renewed_before_it_is_run(worker: Worker) -> None:
    worker.start(item(), is_recovered=True)
    await until(lambda: worker.hands.jobs)
    assert worker.chain.sent == [("renew", "a")]


@pytest.mark.parametrize("error", [TransactionFailed("too little chi"), NodeUnavailable("away")])
async def test_report_that_waits_stays_held_and_is_sent_again_with_growing_pauses(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, error: WorkflowError
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def pause(seconds: float) -> None:
        if seconds:
            pauses.append(seconds)
            assert len(worker.runner) == 1
            assert worker.runner.problem == str(error)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", pause)
    answers: list[str | WorkflowError] = [error] * 7
    worker.chain.refusals["fail"] = deque([*answers, "ok"])
    worker.hands.answers.append(Answer("failed", "why"))
    worker.start(item())
    await worker.until_idle()
    assert worker.chain.count("fail") == 8
    expected = [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert pauses == (expected if isinstance(error, TransactionFailed) else [1.0] * 7)
    assert worker.runner.problem == ""
    assert worker.due_in() is None, "it is settled"


async def test_tries_are_counted_over_claims_releases_and_restarts(tmp_path: Path) -> None:
    for attempt in (1, 2):
        async with working(tmp_path) as worker:
            worker.hands.answers.append(Answer("retry", "not yet"))
            worker.start(item(attempt=attempt))
            # The second run of a claim never ends, and is not counted.
            await until(lambda: len(worker.hands.jobs) == 2)
            assert [job.number for job in worker.hands.jobs] == [attempt, attempt + 1]
    async with working(tmp_path) as worker:
        worker.hands.answers.append(Answer("retry", "not yet"))
        worker.start(item(attempt=3))
        await worker.until_idle()
        assert worker.chain.sent == [("fail", "a")]
        assert worker.chain.entries[0]["reason"] == "not yet (given up after 3 tries)"
        assert worker.journal.failed_tries("a") == (0, 0.0), "a retry begins anew"


async def test_last_try_gives_up_with_its_number(worker: Worker) -> None:
    worker.hands.kinds["job"] = Kind(1, 60.0, RetryPolicy(1, 1.0, 1.0))
    worker.hands.answers.append(Answer("retry", "no", 9.0))
    worker.start(item())
    await worker.until_idle()
    assert worker.chain.entries[0]["reason"] == "no (given up after 1 try)"


async def test_wait_for_the_next_try_outlives_a_release_and_a_restart(tmp_path: Path) -> None:
    async with working(tmp_path) as worker:
        worker.hands.answers.append(Answer("retry", "busy", 1000.0))
        worker.start(item())
        await until(lambda: worker.journal.failed_tries("a")[0] == 1)
    assert worker.chain.sent == [("release", "a")]
    async with working(tmp_path) as worker:
        # Whatever says to look at it, the events of its release too: not before its time.
        assert worker.journal.recover() == []
        assert worker.due_in() == pytest.approx(1000, abs=5)
        worker.journal.schedule([PendingItem("a", "job", time.monotonic())])
        assert worker.due_in() == pytest.approx(1000, abs=5)
        assert worker.journal.hasten(time.monotonic() + 2 * LEASE) == 0
        # If its claim stands all the same, it is held, and waits here.
        worker.start(item(), is_recovered=True)
        await until(lambda: worker.journal.in_state(State.WAITING))
        assert worker.chain.sent == [("renew", "a")]
        assert worker.hands.jobs == []
        assert "job" not in worker.journal.busy()


async def test_failed_try_is_counted_where_its_kind_has_no_handler_any_more(
    worker: Worker,
) -> None:
    worker.hands.answers.append(Answer("retry", "busy", 1000.0))
    worker.hands.is_kind_removed = True
    worker.start(item())
    await worker.until_idle()
    assert worker.chain.sent == [("release", "a")]
    tries, wait = worker.journal.failed_tries("a")
    assert tries == 1
    assert wait == pytest.approx(1000, abs=5)
    assert worker.due_in() == pytest.approx(1000, abs=5)


async def test_clock_that_was_set_back_puts_nothing_off_for_longer_than_an_hour(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.journal.record_tries([FailedTry("a", 1, 10.0)])
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 1e6)
    worker.journal.schedule([PendingItem("a", "job", 0.0)])
    assert worker.due_in() == pytest.approx(3600, abs=5)
    assert worker.journal.failed_tries("a") == (1, 3600.0)


async def test_items_that_wait_leave_their_places_and_the_longest_are_released(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "MIN_WAITING", 4)
    for number in range(6):
        worker.hands.answers.append(Answer("retry", "busy", 100.0 * (6 - number)))
        worker.start(item(f"i{number}"))
        await until(lambda: worker.journal.failed_tries(f"i{number}")[0] == 1)  # noqa: B023
        await until(lambda: "job" not in worker.journal.busy())
    await until(lambda: len(worker.runner) == 4)
    assert worker.chain.sent == [("release", "i0"), ("release", "i1")]
    assert worker.due_in() == pytest.approx(500, abs=5), "i1, which is not claimed before"


async def test_secret_in_a_reason_does_not_reach_the_chain(worker: Worker) -> None:
    worker.hands.answers.append(
        Answer("failed", "at https://me:hidden@host/?key=hidden" + "x" * 900)
    )
    worker.start(item())
    await until(lambda: worker.chain.entries)
    assert worker.chain.entries[0]["reason"] == "at https://***@host/?***"


async def test_journal_that_can_not_be_written_ends_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="disk full")):
        async with working(tmp_path) as worker:
            worker.chain.refusals["complete"] = deque(["stale"])
            worker.hands.answers.append(Answer("completed", "r"))
            monkeypatch.setattr(worker.journal, "schedule", fail)
            worker.runner.start(item())
            await asyncio.Event().wait()


async def test_job_that_meets_an_unexpected_error_is_checked_a_lease_later(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(worker.journal, "recorded_result", fail)
    worker.start(item())
    await worker.until_idle()
    assert worker.due_in() == pytest.approx(LEASE, abs=5)
    assert "item a: an unexpected error" in caplog.text


async def test_stop_ends_the_handler_and_then_the_item(worker: Worker) -> None:
    worker.start(item("a"))
    await until(lambda: worker.hands.jobs)
    worker.runner.stop("a")
    await worker.until_idle()
    assert worker.due_in() is None  # it is settled
    assert worker.chain.sent == [("cancel", "a")]
    assert worker.chain.entries[0]["attempt"] == 1


async def test_stop_of_a_finished_try_lets_its_report_go_on(worker: Worker) -> None:
    worker.hands.answers.append(Answer("completed", "done"))
    worker.chain.refusals["complete"] = deque([NodeUnavailable(), "ok"])
    worker.start(item("a"))
    await until(lambda: worker.chain.count("complete"))
    worker.runner.stop("a")
    await worker.until_idle()
    assert [name for name, _ in worker.chain.sent] == ["complete", "complete"]


async def test_stop_that_was_asked_while_the_worker_was_away_ends_the_item(worker: Worker) -> None:
    stopped = replace(item("a"), stop_requested_at="2026-01-01 00:00:01")
    worker.start(stopped, is_recovered=True)
    await worker.until_idle()
    assert worker.hands.jobs == []
    assert worker.chain.sent == [("cancel", "a")]


async def test_stop_that_is_refused_leaves_the_item_to_the_next_check(worker: Worker) -> None:
    worker.chain.refusals["cancel"] = deque(["stale"])
    worker.start(item("a"))
    await until(lambda: worker.hands.jobs)
    worker.runner.stop("a")
    await worker.until_idle()
    assert worker.due_in() is not None


async def test_stop_that_is_read_before_the_claim_ends_the_item(worker: Worker) -> None:
    worker.runner.stop("a")
    worker.start(item("a"))
    await worker.until_idle()
    assert (worker.hands.jobs, worker.chain.sent) == ([], [("cancel", "a")])


async def test_stop_before_the_first_step_of_a_job_ends_the_item(worker: Worker) -> None:
    worker.start(item("a"))
    worker.runner.stop("a")
    await worker.until_idle()
    assert worker.chain.sent == [("cancel", "a")]


@pytest.mark.parametrize("is_recovered", [True, False])
async def test_drain_does_not_wait_for_a_stop_that_no_node_takes(
    worker: Worker, is_recovered: bool
) -> None:
    worker.chain.refusals["cancel"] = deque([NodeUnavailable()])
    stopped = replace(item("a"), stop_requested_at="2026-01-01 00:00:01")
    worker.start(stopped if is_recovered else item("a"), is_recovered=is_recovered)
    if not is_recovered:
        await until(lambda: worker.hands.jobs)
        worker.runner.stop("a")
    else:
        await until(lambda: worker.chain.count("cancel"))
    async with asyncio.timeout(5):
        await worker.runner.drain(0.0)
