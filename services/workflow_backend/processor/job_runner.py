"""The items that this worker has claimed: handlers run, leases are renewed, results reported.

All tries at an item are made within one claim while its lease is renewed: that needs no further
transaction, and no other worker starts the item from the beginning. While an item waits for its
next try, another one of its kind runs. If more items wait than may be held, those with the longest
wait are released. The journal keeps how many tries failed and when the next one may begin, until
the item is settled.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..chain import contract
from ..chain.contract_submitter import ContractSubmitter
from ..errors import WorkflowError
from ..items import Item
from ..tick_batcher import TickBatcher
from ..watchdog import LoopWatchdog
from .active_job import ActiveJob
from .handler_client import HandlerClient, HandlersAway, NoHandler
from .handlers.job import Answer, Job, completed
from .handlers.public_text import MAX_PROGRESS, MAX_REASON, public
from .journal import Journal
from .lease_renewal import renew_leases
from .reporter import Reporter, is_final
from .schema import FailedTry, PendingItem, Result, State

log = logging.getLogger(__name__)

RELEASE_SECONDS = 5.0
"""How long the releases of a stop may take; leases that are not released pass by themselves."""

MIN_WAITING = 100
WAITING_FACTOR = 4
"""Items of a kind that may wait for their next try: this many times its concurrency, and at least
MIN_WAITING."""

MAX_STOPS = 10_000
"""Stops that are remembered of items which this worker may be about to hold."""

STATUS_ITEMS = 10
"""Items in the heartbeat, those held longest."""


class TooManyWaiting(WorkflowError):
    """Other items of the kind have a shorter wait for their next try."""


class JobRunner:
    """Works on claimed items, in tasks of the group `tasks`; sets `wake` when one makes room.

    `scope` names chain and contract, for idempotency keys.
    """

    def __init__(
        self,
        submitter: ContractSubmitter,
        handlers: HandlerClient,
        journal: Journal,
        *,
        tasks: asyncio.TaskGroup,
        wake: asyncio.Event,
        scope: str,
    ) -> None:
        self._submitter = submitter
        self._handlers = handlers
        self._journal = journal
        self._tasks = tasks
        self._wake = wake
        self._scope = scope
        self._jobs: dict[str, ActiveJob] = {}
        self._stops: dict[str, None] = {}
        self._reporter = Reporter(submitter)
        self._claims = TickBatcher[tuple[str, str]](journal.mark_claimed)
        self._states = TickBatcher[tuple[str, State]](journal.set_states)
        self._results = TickBatcher[tuple[str, int, Result]](journal.record_results)
        self._tries = TickBatcher[FailedTry](journal.record_tries)
        self._settled = TickBatcher[str](journal.settle)

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def problem(self) -> str:
        """What keeps the chain from hearing of the items, "" where nothing does."""
        return self._reporter.refusal or (self._reporter.problem if self._jobs else "")

    def status(self) -> list[dict[str, Any]]:
        """Return the items held longest, for people to see."""
        oldest = sorted(self._jobs.values(), key=lambda job: job.started_at)[:STATUS_ITEMS]
        return [job.status() for job in oldest]

    def start(self, item: Item, *, is_recovered: bool = False) -> None:
        """Begin to work on an item that this wallet has claimed.

        The lease of a recovered item may be nearly over, or this worker may have lost its rights:
        its lease is renewed before its handler runs.
        """
        job = self._jobs[item.item_id] = ActiveJob(item, is_recovered)
        job.is_stopping = item.stop_requested_at is not None or item.item_id in self._stops
        self._stops.pop(item.item_id, None)
        job.task = self._tasks.create_task(self._run(job), name=f"item {item.item_id}")

    async def _run(self, job: ActiveJob) -> None:
        """Work on an item until it is settled, or until the chain has to be asked about it.

        Raises only what the journal raises when the item is put back: it would stay in hand.
        """
        item, is_settled, has_failed = job.item, False, False
        try:
            is_settled = await self._process_or_stop(job)
        except Exception:
            has_failed = True
            log.exception("item %s: an unexpected error", item.item_id)
        finally:
            if self._jobs.get(item.item_id) is job:
                del self._jobs[item.item_id]
            if not is_settled:
                # It was lost, released, refused, or met an error: its record tells what is next.
                pause = item.lease_seconds if job.is_refused or has_failed else 0.0
                due = time.monotonic() + pause
                self._journal.schedule([PendingItem(item.item_id, item.kind, due)])
            self._wake.set()

    def stop(self, item_id: str) -> None:
        """End the work on an item if this worker holds it, as somebody asked."""
        job = self._jobs.get(item_id)
        if job is not None:
            job.stop()
            return
        # Its claim may be on the way: the event may come before the answer.
        self._stops[item_id] = None
        if len(self._stops) > MAX_STOPS:
            del self._stops[next(iter(self._stops))]

    async def _process_or_stop(self, job: ActiveJob) -> bool:
        """Get and report a result, or end the item where its work is to stop."""
        job.has_started = True
        item = job.item
        if job.is_stopping and self._journal.recorded_result(item.item_id, item.attempt) is None:
            await self._claims.add((item.item_id, item.kind))
            return await self._end_stopped(job)
        try:
            return await self._process(job)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not job.is_stopping or job.is_let_go or task is None:
                raise
            task.uncancel()
        return await self._end_stopped(job)

    async def _end_stopped(self, job: ActiveJob) -> bool:
        log.info("item %s is stopped, as somebody asked", job.item.item_id)
        if not await self._send(job, contract.end_stopped(job.item, "")):
            return False
        await self._settled.add(job.item.item_id)
        return True

    async def _process(self, job: ActiveJob) -> bool:
        """Get a result and report it; return whether the item is settled and removed."""
        item = job.item
        job.result = self._journal.recorded_result(item.item_id, item.attempt)
        if job.result is not None:
            await self._states.add((item.item_id, State.REPORTING))
        else:
            await self._claims.add((item.item_id, item.kind))
            if job.is_recovered and not await self._send(job, contract.renew(item)):
                return False
            try:
                job.result = await self._obtain_result(job)
            except (HandlersAway, NoHandler, TooManyWaiting) as error:
                log.warning("item %s is released: %s", item.item_id, error)
                await self._states.add((item.item_id, State.WAITING))
                self._wake.set()
                await self._send(job, contract.release(item))
                return False
            await self._results.add((item.item_id, item.attempt, job.result))
            self._wake.set()
        report = contract.complete if job.result.completed else contract.fail
        if not await self._send(job, report(item, job.result.text)):
            return False
        await self._settled.add(item.item_id)
        return True

    async def _send(self, job: ActiveJob, action: contract.Action) -> bool:
        outcome = await self._reporter.send(action)
        job.is_refused = is_final(outcome)
        return outcome.ok

    async def _obtain_result(self, job: ActiveJob) -> Result:
        """Make tries until there is a result."""
        item_id = job.item.item_id
        tries, wait = self._journal.failed_tries(item_id)
        if wait:
            await self._states.add((item_id, State.WAITING))
        while True:
            if wait:
                await self._wait_for_next_try(job, wait)
                await self._states.add((item_id, State.ACTIVE))
            job.number, wait = tries + 1, 0.0
            answer = await self._make_try(job)
            if answer.outcome == "interrupted":
                continue
            if answer.outcome == "completed":
                answer = completed(answer.text)
            if answer.outcome != "retry":
                return _result(answer)
            tries += 1
            kind = self._handlers.kinds.get(job.item.kind)
            # A try at a kind that has no handler any more is counted, too.
            again = kind.retry.wait_after(tries, answer.after) if kind else answer.after or 0.0
            if again is None:
                return _failure(f"{answer.text} (given up after {_counted(tries)})")
            wait = again
            job.progress = f"try {tries} failed: {public(answer.text, MAX_PROGRESS)}"
            log.info("item %s: %s, again in %.1f s", item_id, job.progress, wait)
            await self._tries.add(FailedTry(item_id, tries, wait))
            if kind is None:
                raise NoHandler(f"no handler does items of kind {job.item.kind} any more")

    async def _make_try(self, job: ActiveJob) -> Answer:
        item = job.item
        key = f"{self._scope}/{item.item_id}"
        request = Job(item.as_dict(), item.attempt, job.number, key, job.note)
        return await self._handlers.run(request, patience=item.lease_seconds)

    async def _wait_for_next_try(self, job: ActiveJob, seconds: float) -> None:
        """Wait; raises TooManyWaiting where the item is to be released instead."""
        job.waits_until = time.monotonic() + seconds
        self._limit_waiting(job.item.kind)
        self._wake.set()
        try:
            async with asyncio.timeout(seconds):
                await job.must_release.wait()
        except TimeoutError:
            return
        finally:
            job.waits_until = None
        raise TooManyWaiting

    def _limit_waiting(self, kind: str) -> None:
        """Have the item with the longest wait released where more wait than may be held."""
        waiting = [
            (job.waits_until, job.item.item_id, job)
            for job in self._jobs.values()
            if job.item.kind == kind and job.waits_until and not job.must_release.is_set()
        ]
        known = self._handlers.kinds.get(kind)
        if len(waiting) > max(MIN_WAITING, WAITING_FACTOR * known.concurrency if known else 0):
            max(waiting)[-1].must_release.set()

    async def renew_leases(self, watchdog: LoopWatchdog) -> None:
        """Renew the leases of all held items, without end."""
        await renew_leases(self._jobs.values(), self._reporter, watchdog)

    async def drain(self, seconds: float) -> None:
        """Let running handlers end; release what only waits, and what does not end in time."""
        waiting = self._journal.in_state(State.WAITING)
        await self._release([job for job in self._jobs.values() if job.item.item_id in waiting])
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        await self._release(list(self._jobs.values()))

    async def _release(self, jobs: Sequence[ActiveJob]) -> None:
        tasks = [job.task for job in jobs if job.task is not None]
        items = [job.item for job in jobs if job.result is None]
        for job in jobs:
            job.is_let_go = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        releases = [self._submitter.submit(contract.release(item)) for item in items]
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                answers = await asyncio.gather(*releases, return_exceptions=True)
        except TimeoutError:
            log.warning("%d items were not released: their leases pass", len(items))
            return
        reasons = Counter(str(answer) for answer in answers if isinstance(answer, WorkflowError))
        for reason, number in reasons.items():
            log.warning("%d items were not released: %s", number, reason)


def _result(answer: Answer) -> Result:
    if answer.outcome == "completed":
        return Result(completed=True, text=answer.text)
    return _failure(answer.text)


def _failure(reason: str) -> Result:
    return Result(completed=False, text=public(reason, MAX_REASON))


def _counted(tries: int) -> str:
    return f"{tries} {'try' if tries == 1 else 'tries'}"
