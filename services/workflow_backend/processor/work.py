"""The items that this processor holds: handlers are run, leases kept, results reported.

Tries are made within one claim, with the lease renewed: that costs no claim a try and lets an item
wait without anybody else starting it from the beginning. While items wait for their next try,
others of the kind run in their place; of more than may wait here, those that wait longest are given
back. How often an item was tried, and when its next try may be, the journal keeps until the item is
settled.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..chain import contract
from ..chain.submitter import Submitter
from ..errors import WorkflowError
from ..items import Item
from ..pulse import Pulse
from . import retry
from .handlers.job import Answer, Job, completed
from .handlers.words import MAX_PROGRESS, MAX_REASON, public
from .journal import Journal, Open, Result, Tried
from .remote import HandlersAway, NoHandler, Remote
from .reports import Reports, is_final
from .taken import Taken
from .turn import Turn

log = logging.getLogger(__name__)

RENEW_SECONDS = 0.4
"""Between one look at the leases and the next: the shortest lease is 5 s."""

RELEASE_SECONDS = 5.0
WAITING = 100
HELD_FACTOR = 4
"""So many items of a kind wait here for their next try, or its concurrency so many times."""

TOLD = 10
"""So many of the held items are told of in the heartbeat, those held longest."""


class _TooManyWaitError(WorkflowError):
    """Other items of the kind wait less long for their next try."""


@dataclass(slots=True, eq=False)
class _Held:
    item: Item
    recovered: bool
    task: asyncio.Task[None] | None = None
    since: float = field(default_factory=time.monotonic)
    renewed: float = field(default_factory=time.monotonic)
    number: int = 1
    running: bool = True
    waits_until: float | None = None
    given_back: asyncio.Event = field(default_factory=asyncio.Event)
    refused: bool = False
    over: bool = False
    result: Result | None = None
    progress: str = ""

    def note(self, text: str) -> None:
        self.progress = public(text, MAX_PROGRESS)


class Work:
    """Works on held items. `scope` names chain and contract, for idempotency keys."""

    def __init__(
        self, submitter: Submitter, remote: Remote, journal: Journal, taken: Taken, scope: str
    ) -> None:
        self._submitter = submitter
        self._remote = remote
        self._journal = journal
        self._taken = taken
        self._scope = scope
        self._held: dict[str, _Held] = {}
        self._reports = Reports(submitter)
        self._results = Turn[tuple[str, int, Result]](journal.results)
        self._tries = Turn[Tried](journal.tried)
        self._over = Turn[str](self._put_down)
        self.on_free: Callable[[], None] = lambda: None
        self.on_fault: Callable[[Exception], None] = lambda _: None

    def __len__(self) -> int:
        return len(self._held)

    @property
    def problem(self) -> str:
        """What keeps the chain from hearing of the items, "" where nothing does."""
        return self._reports.refusal or (self._reports.problem if self._held else "")

    def running(self) -> Counter[str]:
        """Return by kind how many items are with their handlers."""
        return Counter(h.item.kind for h in self._held.values() if h.running)

    def told(self) -> list[dict[str, Any]]:
        """Return the items held longest, for people to see."""
        now = time.monotonic()
        oldest = sorted(self._held.values(), key=lambda held: held.since)[:TOLD]
        return [
            {
                "item_id": held.item.item_id,
                "kind": held.item.kind,
                "attempt": held.item.attempt,
                "try": held.number,
                "seconds": round(now - held.since),
                "progress": held.progress,
            }
            for held in oldest
        ]

    def hold(self, item: Item, *, recovered: bool = False) -> None:
        """Begin to work on an item that this wallet has claimed.

        Of one that is `recovered`, of which only the record tells that it was claimed, the lease
        may be nearly over, or this worker have no rights any more: it is renewed before it is run.
        """
        held = _Held(item, recovered)
        self._held[item.item_id] = held
        held.task = asyncio.create_task(self._run(held), name=f"item {item.item_id}")
        held.task.add_done_callback(lambda task: self._ended(held, task))

    def _ended(self, held: _Held, task: asyncio.Task[None]) -> None:
        item = held.item
        if self._held.get(item.item_id) is held:
            del self._held[item.item_id]
        if not held.over:
            # Lost, given back, refused, or a fault of ours: the item's record tells what is next.
            due = time.monotonic() + item.lease_seconds if held.refused else 0.0
            if not task.cancelled() and task.exception() is not None:
                log.error("item %s: stumbled", item.item_id, exc_info=task.exception())
                due = time.monotonic() + item.lease_seconds
            try:
                self._taken.put_down([Open(item.item_id, item.kind, due)])
            except Exception as error:
                self.on_fault(error)
        self.on_free()

    def _put_down(self, item_ids: Sequence[str]) -> None:
        self._taken.put_down([], item_ids)

    async def _run(self, held: _Held) -> None:
        item = held.item
        held.result = self._journal.unreported(item.item_id, item.attempt)
        if held.result is None:
            if held.recovered and not await self._tell(held, contract.renew(item)):
                return
            try:
                held.result = await self._obtain(held)
            except (HandlersAway, NoHandler, _TooManyWaitError) as error:
                log.warning("item %s is given back: %s", item.item_id, error)
                held.running = False
                await self._tell(held, contract.release(item))
                return
            await self._results.add((item.item_id, item.attempt, held.result))
        held.running = False
        self.on_free()
        report = contract.complete if held.result.completed else contract.fail
        if await self._tell(held, report(item, held.result.text)):
            await self._over.add(item.item_id)
            held.over = True

    async def _tell(self, held: _Held, action: contract.Action) -> bool:
        outcome = await self._reports.tell(action)
        held.refused = is_final(outcome)
        return outcome.ok

    async def _obtain(self, held: _Held) -> Result:
        """Try until there is a result."""
        item = held.item
        tries, wait = self._journal.tries(item.item_id)
        while True:
            if wait:
                await self._pause(held, wait)
            held.running, held.number = True, tries + 1
            answer = await self._try(held)
            if answer.outcome == "interrupted":
                wait = 0.0
                continue
            if answer.outcome == "completed":
                answer = completed(answer.text)
            if answer.outcome == "completed":
                return Result(completed=True, text=answer.text)
            if answer.outcome == "failed":
                return _failure(answer.text)
            tries += 1
            if item.kind not in self._remote.kinds:
                raise NoHandler(f"no handler does items of kind {item.kind} any more")
            policy = self._remote.kinds[item.kind].retry
            decision = retry.decide(policy, tries, answer.text, answer.after)
            if isinstance(decision, retry.GiveUp):
                return _failure(decision.reason)
            wait = decision.seconds
            held.progress = f"try {tries} failed: {public(answer.text, MAX_PROGRESS)}"
            log.info("item %s: %s, again in %.1f s", item.item_id, held.progress, wait)
            await self._tries.add(Tried(item.item_id, tries, wait))

    async def _pause(self, held: _Held, seconds: float) -> None:
        """Wait for the next try; raises _TooManyWaitError where others are to wait instead."""
        held.running, held.waits_until = False, time.monotonic() + seconds
        self._make_room(held.item.kind)
        self.on_free()
        try:
            async with asyncio.timeout(seconds):
                await held.given_back.wait()
        except TimeoutError:
            return
        finally:
            held.waits_until = None
        raise _TooManyWaitError

    def _make_room(self, kind: str) -> None:
        """Have the item that waits longest given back where more wait than may."""
        waiting = [
            (held.waits_until, held.item.item_id, held)
            for held in self._held.values()
            if held.item.kind == kind and held.waits_until and not held.given_back.is_set()
        ]
        known = self._remote.kinds.get(kind)
        if len(waiting) > max(WAITING, HELD_FACTOR * known.concurrency if known else 0):
            max(waiting)[-1].given_back.set()

    async def _try(self, held: _Held) -> Answer:
        item = held.item
        key = f"{self._scope}/{item.item_id}"
        job = Job(item.as_dict(), item.attempt, held.number, key, held.note)
        return await self._remote.run(job, patience=item.lease_seconds)

    async def renew(self, pulse: Pulse) -> None:
        """Keep the leases of what is held, for ever."""
        renewing: set[asyncio.Task[None]] = set()
        while True:
            pulse()
            await asyncio.sleep(RENEW_SECONDS)
            now = time.monotonic()
            late = [h for h in self._held.values() if now - h.renewed > h.item.lease_seconds / 3]
            for held in late:
                held.renewed = now
            if late:
                task = asyncio.create_task(self._renew(late))
                renewing.add(task)
                task.add_done_callback(renewing.discard)

    async def _renew(self, late: Sequence[_Held]) -> None:
        renewals = [contract.renew(held.item) for held in late]
        answers = await asyncio.gather(
            *(self._submitter.submit(action) for action in renewals), return_exceptions=True
        )
        for held, action, outcome in zip(late, renewals, answers, strict=True):
            if isinstance(outcome, WorkflowError):
                self._reports.failed(outcome)
                continue
            if isinstance(outcome, BaseException):
                log.error("item %s: lease not renewed: %r", held.item.item_id, outcome)
                continue
            self._reports.heard(action, outcome)
            if not outcome.ok and held.task is not None and held.result is None:
                held.refused = is_final(outcome)
                held.task.cancel()

    async def drain(self, seconds: float) -> None:
        """Let what runs end, and give back what only waits or does not end in time."""
        await self._release([held for held in self._held.values() if not _is_busy(held)])
        tasks = [held.task for held in self._held.values() if held.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        await self._release(list(self._held.values()))

    async def _release(self, given_back: Sequence[_Held]) -> None:
        tasks = [held.task for held in given_back if held.task is not None]
        items = [held.item for held in given_back if held.result is None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        releases = [self._submitter.submit(contract.release(item)) for item in items]
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                answers = await asyncio.gather(*releases, return_exceptions=True)
        except TimeoutError:
            log.warning("%d items are not given back: their leases pass", len(items))
            return
        reasons = Counter(str(answer) for answer in answers if isinstance(answer, WorkflowError))
        for reason, number in reasons.items():
            log.warning("%d items are not given back: %s", number, reason)


def _is_busy(held: _Held) -> bool:
    return held.running or held.result is not None


def _failure(reason: str) -> Result:
    return Result(completed=False, text=public(reason, MAX_REASON))
