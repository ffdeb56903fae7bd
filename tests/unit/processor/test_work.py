"""Held items: what the chain refuses, what waits, and what outlives a claim."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.chain.contract import Action
from workflow_backend.errors import NodeUnavailable, TransactionFailed, WorkflowError
from workflow_backend.items import Item, Outcome
from workflow_backend.processor import work
from workflow_backend.processor.handlers.job import Answer, Job
from workflow_backend.processor.handlers.kinds import Kind, RetryPolicy
from workflow_backend.processor.journal import Journal, Open, Result, Tried
from workflow_backend.processor.taken import Taken
from workflow_backend.processor.work import Work
from workflow_backend.pulse import Pulse

LEASE = 60
FORBIDDEN = "only workers may do this"


def item(item_id: str = "a", attempt: int = 1) -> Item:
    return Item(
        item_id=item_id,
        requester="r",
        kind="job",
        payload_uri="p",
        metadata_ref="",
        client="",
        status="processing",
        worker="me",
        result_uri="",
        failure_reason="",
        created_at="2026-01-01 00:00:00",
        updated_at="2026-01-01 00:00:00",
        attempt=attempt,
        lease_seconds=LEASE,
        contested_at=None,
    )


class Chain:
    """Answers ok to each action, but for those that `refusals` has a code or an error for."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.entries: list[dict[str, Any]] = []
        self.refusals: dict[str, deque[str | WorkflowError]] = {}

    async def submit(self, action: Action) -> Outcome:
        self.told.append((action.name, action.item_id))
        self.entries.append(action.entry)
        await asyncio.sleep(0)
        waiting = self.refusals.get(action.name)
        code = "ok"
        if waiting:
            refusal = waiting[0] if len(waiting) == 1 else waiting.popleft()
            if isinstance(refusal, WorkflowError):
                raise refusal
            code = refusal
        message = FORBIDDEN if code != "ok" else ""
        return Outcome(action.item_id, code, message, 1, None, "AB", 1)

    def count(self, name: str) -> int:
        return Counter(name for name, _ in self.told)[name]


class Hands:
    """Handlers that give the answers of `answers` in turn, and then never end."""

    def __init__(self) -> None:
        self.kinds = {"job": Kind(1, 60.0, RetryPolicy(3, 0.001, 0.001))}
        self.answers: deque[Answer] = deque()
        self.jobs: list[Job] = []

    async def run(self, job: Job, patience: float) -> Answer:
        assert patience >= 0
        self.jobs.append(job)
        if self.answers:
            return self.answers.popleft()
        return await asyncio.Future()


class Worker:
    """The work on a journal of its own, and what it sees of chain and handlers."""

    def __init__(self, path: Path) -> None:
        self.chain, self.hands = Chain(), Hands()
        self.journal = Journal(path / "p.sqlite3", "chain-1", "con_job_workflow")
        self.taken = Taken(self.journal)
        self.work = Work(
            self.chain,  # type: ignore[arg-type]
            self.hands,  # type: ignore[arg-type]
            self.journal,
            self.taken,
            "chain-1/con_job_workflow",
        )

    def hold(self, held: Item, *, recovered: bool = False) -> None:
        self.journal.put([Open(held.item_id, held.kind, 0.0)])
        self.journal.take([held.item_id])
        self.taken.take([held.item_id])
        self.work.hold(held, recovered=recovered)

    def due_in(self) -> float | None:
        due = self.journal.next_due(["job"])
        return None if due is None else due - time.monotonic()

    async def close(self) -> None:
        await self.work.drain(0.0)
        self.journal.close()


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    worker = Worker(tmp_path)
    yield worker
    await worker.close()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is awaited sets off no event
            await asyncio.sleep(0)


@pytest.mark.parametrize("code", ["forbidden", "invalid"])
async def test_report_that_is_refused_for_good_is_let_go_of_for_a_lease(
    worker: Worker, code: str
) -> None:
    worker.chain.refusals["complete"] = deque([code])
    worker.hands.answers.append(Answer("completed", "r"))
    worker.hold(item())
    await until(lambda: not len(worker.work))
    assert worker.chain.told == [("complete", "a")]
    assert worker.due_in() == pytest.approx(LEASE, abs=5)
    assert worker.work.problem == f"complete of item a: {FORBIDDEN}"
    # A lease later: the result was written down, and is told without another run.
    worker.chain.refusals.clear()
    worker.hold(item(), recovered=True)
    await until(lambda: not len(worker.work))
    assert worker.chain.told[1:] == [("complete", "a")]
    assert len(worker.hands.jobs) == 1
    assert worker.work.problem == ""


async def test_lost_report_is_looked_at_once(worker: Worker) -> None:
    worker.chain.refusals["complete"] = deque(["stale"])
    worker.hands.answers.append(Answer("completed", "r"))
    worker.hold(item())
    await until(lambda: not len(worker.work))
    assert (worker.due_in() or 0) <= 0
    assert worker.work.problem == ""


async def test_worker_without_rights_starts_no_handler_anew(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "RENEW_SECONDS", 0.01)
    worker.chain.refusals["renew"] = deque(["forbidden"])
    worker.hold(replace(item(), lease_seconds=0))  # each look at the leases finds it late
    await until(lambda: worker.hands.jobs)
    renewing = asyncio.create_task(worker.work.renew(Pulse("renewal")))
    await until(lambda: not len(worker.work))
    renewing.cancel()
    worker.hold(item(), recovered=True)
    await until(lambda: not len(worker.work))
    assert len(worker.hands.jobs) == 1
    assert worker.due_in() == pytest.approx(LEASE, abs=5)


async def test_recovered_item_is_renewed_before_it_is_run(worker: Worker) -> None:
    worker.hold(item(), recovered=True)
    await until(lambda: worker.hands.jobs)
    assert worker.chain.told == [("renew", "a")]


@pytest.mark.parametrize("error", [TransactionFailed("too little chi"), NodeUnavailable("away")])
async def test_report_that_waits_stays_held_and_is_told_again_with_growing_pauses(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, error: WorkflowError
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def pause(seconds: float) -> None:
        if seconds:
            pauses.append(seconds)
            assert len(worker.work) == 1
            assert worker.work.problem == str(error)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", pause)
    answers: list[str | WorkflowError] = [error] * 7
    worker.chain.refusals["fail"] = deque([*answers, "ok"])
    worker.hands.answers.append(Answer("failed", "why"))
    worker.hold(item())
    await until(lambda: not len(worker.work))
    assert worker.chain.count("fail") == 8
    expected = [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert pauses == (expected if isinstance(error, TransactionFailed) else [1.0] * 7)
    assert worker.work.problem == ""
    assert worker.due_in() is None, "it is settled"


async def test_report_that_waits_is_renewed_meanwhile(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "RENEW_SECONDS", 0.01)
    worker.chain.refusals["complete"] = deque([TransactionFailed("too little chi")])
    worker.hands.answers.append(Answer("completed", "r"))
    worker.hold(replace(item(), lease_seconds=0))
    renewing = asyncio.create_task(worker.work.renew(Pulse("renewal")))
    await until(lambda: worker.chain.count("complete") and worker.chain.count("renew") > 2)
    assert len(worker.work) == 1
    renewing.cancel()


async def test_tries_are_counted_over_claims_releases_and_restarts(tmp_path: Path) -> None:
    for attempt in (1, 2, 3):
        worker = Worker(tmp_path)
        worker.hands.answers.append(Answer("retry", "not yet"))
        worker.hold(item(attempt=attempt))
        if attempt < 3:
            # The second run of the claim is the third try of the last, and never ends.
            await until(lambda: len(worker.hands.jobs) == 2)  # noqa: B023
            assert [job.number for job in worker.hands.jobs] == [attempt, attempt + 1]
        else:
            await until(lambda: not len(worker.work))  # noqa: B023
            assert worker.chain.told == [("fail", "a")]
            assert worker.chain.entries[0]["reason"] == "not yet (given up after 3 tries)"
            assert worker.journal.tries("a") == (0, 0.0), "a retry of its requester begins anew"
        await worker.close()


async def test_wait_for_the_next_try_outlives_a_release_and_a_restart(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.hands.answers.append(Answer("retry", "busy", 1000.0))
    worker.hold(item())
    await until(lambda: worker.journal.tries("a")[0] == 1)
    await worker.close()
    assert worker.chain.told == [("release", "a")]
    worker = Worker(tmp_path)
    # Whatever says to look at it, the events of its release too: not before its time.
    assert worker.journal.recover() == []
    assert worker.due_in() == pytest.approx(1000, abs=5)
    worker.journal.put([Open("a", "job", time.monotonic())])
    assert worker.due_in() == pytest.approx(1000, abs=5)
    assert worker.journal.wake(time.monotonic() + 2 * LEASE, ()) == 0
    # Where the claim stands all the same, it is kept, and waits here.
    worker.hold(item(), recovered=True)
    await until(lambda: worker.chain.count("renew"))
    await asyncio.sleep(0)
    assert worker.hands.jobs == []
    assert worker.work.running()["job"] == 0
    await worker.close()


async def test_clock_that_was_set_back_puts_nothing_off_for_longer_than_an_hour(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.journal.tried([Tried("a", 1, 10.0)])
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 1e6)
    worker.journal.put([Open("a", "job", 0.0)])
    assert worker.due_in() == pytest.approx(3600, abs=5)
    assert worker.journal.tries("a") == (1, 3600.0)


async def test_items_that_wait_leave_their_places_and_the_longest_are_given_back(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "WAITING", 4)
    for number in range(6):
        worker.hands.answers.append(Answer("retry", "busy", 100.0 * (6 - number)))
        worker.hold(item(f"i{number}"))
        await until(lambda: worker.journal.tries(f"i{number}")[0] == 1)  # noqa: B023
        await until(lambda: worker.work.running()["job"] == 0)
    await until(lambda: len(worker.work) == 4)
    assert worker.chain.told == [("release", "i0"), ("release", "i1")]
    assert worker.due_in() == pytest.approx(500, abs=5), "i1, which is not claimed before"


async def test_secret_in_a_reason_does_not_reach_the_chain(worker: Worker) -> None:
    worker.hands.answers.append(
        Answer("failed", "at https://me:hidden@host/?key=hidden" + "x" * 900)
    )
    worker.hold(item())
    await until(lambda: worker.chain.entries)
    assert worker.chain.entries[0]["reason"] == "at https://***@host/?***"


async def test_journal_that_can_not_be_written_ends_the_processor(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[Exception] = []
    worker.work.on_fault = faults.append
    worker.chain.refusals["complete"] = deque(["stale"])
    worker.hands.answers.append(Answer("completed", "r"))

    def fail(*_: object) -> None:
        raise OSError("disk full")

    worker.hold(item())
    monkeypatch.setattr(worker.journal, "put", fail)
    await until(lambda: faults)
    assert str(faults[0]) == "disk full"


def test_result_of_a_retried_item_is_forgotten_with_its_tries(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "p.sqlite3", "chain-1", "con_job_workflow")
    journal.put([Open("a", "job", 0.0)])
    journal.tried([Tried("a", 2, 0.0)])
    journal.results([("a", 1, Result(completed=False, text="why"))])
    taken = Taken(journal)
    taken.take(journal.due(10.0, {"job": 1}, 1))
    taken.touch("a")  # its requester retries it in the moment in which its failure is reported
    taken.put_down([], ["a"])
    assert journal.due(10.0, {"job": 1}, 1) == ["a"]
    assert journal.tries("a") == (0, 0.0)
    assert journal.unreported("a", 1) is None
    journal.close()
