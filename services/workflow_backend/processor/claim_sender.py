"""Sends claims, starts the jobs of those that are granted, and puts the other items back."""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from ..chain import contract
from ..chain.contract_submitter import ContractSubmitter
from ..chain.pending import PendingAction
from ..errors import WorkflowError
from ..items import Item, Outcome
from ..outage_log import OutageLog
from .job_runner import JobRunner
from .journal import Journal
from .lease_takeover import LeaseTakeover
from .schema import Hold, PendingItem

RETRY_SECONDS = 1.0
"""Until the next check of an item whose record or claim got no answer."""

FIRST_EARLY_SECONDS = 0.2
LONGEST_EARLY_SECONDS = 30.0
"""Until the next claim of an item that is early, or whose kind is paused until a time. The refusal
has made a block, whose time counts in the next one; if that is early too, this machine's clock is
ahead of the chain's."""

MAX_EARLY = 10_000
"""Items whose refusals as early are counted."""


class PlannedClaim(NamedTuple):
    """A claim to be sent; `held` is the item's record where another worker held it.

    `is_unread` tells that it is sent without having read the record.
    """

    kind: str
    action: contract.Action
    held: Item | None = None
    is_unread: bool = False

    def pending(self, due: float) -> PendingItem:
        """Return the item to be looked at again, apart from others where it is to be stopped."""
        hold = Hold.NONE if self.held is None else Hold.of_stop(self.held)
        return PendingItem(self.action.item_id, self.kind, due, hold=hold)


class ClaimSender:
    """Sends the claims of one wallet, in tasks of the group `tasks`.

    It sets `wake` after each batch. `problem` says why the last claim had no effect, "" where it
    had one; `outage` logs the time in which nothing can be claimed.
    """

    def __init__(
        self,
        submitter: ContractSubmitter,
        journal: Journal,
        runner: JobRunner,
        takeover: LeaseTakeover,
        *,
        tasks: asyncio.TaskGroup,
        wake: asyncio.Event,
        lease_seconds: int,
    ) -> None:
        self._submitter = submitter
        self._journal = journal
        self._runner = runner
        self._takeover = takeover
        self._tasks = tasks
        self._wake = wake
        self._lease_seconds = lease_seconds
        self._sending: set[asyncio.Task[None]] = set()
        self._forbidden_until = 0.0
        self._early: dict[str, int] = {}
        self.problem = ""
        self.outage = OutageLog("items are claimed again")

    @property
    def is_busy(self) -> bool:
        """Whether claims wait for their answers."""
        return bool(self._sending)

    @property
    def is_forbidden(self) -> bool:
        """Whether this account has lost the right to claim, as far as is known."""
        return time.monotonic() < self._forbidden_until

    def send(self, claims: Sequence[PlannedClaim]) -> None:
        """Send claims in a task of their own."""
        if claims:
            task = self._tasks.create_task(self._send(claims), name="claim")
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def wait(self) -> None:
        """Wait until all claims are answered."""
        await asyncio.gather(*self._sending)

    def cancel(self) -> None:
        """Give up waiting for answers."""
        for task in list(self._sending):
            task.cancel()

    async def _send(self, claims: Sequence[PlannedClaim]) -> None:
        """Send claims, start the jobs of those that are granted, put the others back."""
        sent: list[tuple[PlannedClaim, PendingAction]] = []
        later: list[PendingItem] = []
        for claim in claims:
            try:
                sent.append((claim, self._submitter.enqueue(claim.action)))
            except WorkflowError as error:
                later.append(self._failed(claim, error))
        for claim, pending_action in sent:
            try:
                outcome = await pending_action.outcome()
            except WorkflowError as error:
                later.append(self._failed(claim, error))
                continue
            if outcome.item is not None:
                self.problem = ""
                self.outage.record_success()
                self._takeover.forget(claim.action.item_id)
                self._early.pop(claim.action.item_id, None)
                self._runner.start(outcome.item)
            else:
                later.append(self._refused(claim, outcome))
        self._journal.schedule(later)
        self._wake.set()

    def _refused(self, claim: PlannedClaim, outcome: Outcome) -> PendingItem:
        """Return when to check an item again whose claim the contract refused."""
        now = due = time.monotonic()
        item_id = claim.action.item_id
        if outcome.code in {"early", "paused"}:
            refusals = self._early[item_id] = self._early.get(item_id, 0) + 1
            due += min(FIRST_EARLY_SECONDS * 2 ** (refusals - 1), LONGEST_EARLY_SECONDS)
            if len(self._early) > MAX_EARLY:  # others have claimed the first of them
                del self._early[next(iter(self._early))]
        elif outcome.code == "waiting" and not claim.is_unread:
            # The events are of items that are gone: the chain was restored to an older height.
            self._journal.forget_prerequisites(item_id)
        elif outcome.code not in {"leased", "waiting", "stopping"}:
            due += RETRY_SECONDS
        elif claim.held is not None:
            due = self._takeover.refused(claim.held, now)
        if outcome.code == "forbidden":
            # The contract would refuse every other claim, too; one a lease later tells whether
            # this worker was added again.
            self.problem = outcome.message
            self._forbidden_until = now + self._lease_seconds
        return claim.pending(due)

    def _failed(self, claim: PlannedClaim, error: WorkflowError) -> PendingItem:
        """Return when to check an item again whose claim got no answer."""
        self.problem = str(error)
        self.outage.record_failure(error)
        return claim.pending(time.monotonic() + RETRY_SECONDS)
