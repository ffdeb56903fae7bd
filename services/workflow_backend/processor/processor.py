"""The processor: claims items that are due, and has claimed ones worked on.

The journal says when each item is due; `record_check` decides what to do with it.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..chain import contract
from ..chain.block_subscription import BlockSubscription
from ..chain.contract_submitter import ContractSubmitter
from ..chain.node import Node
from ..chain.write_size import LARGEST_CLAIM_BYTES, MAX_WRITE_BYTES
from ..errors import WorkflowError
from ..outage_log import OutageLog
from ..watchdog import LoopWatchdog
from .claim_rules import ClaimRules
from .claim_sender import RETRY_SECONDS, ClaimSender, PlannedClaim
from .event_listener import EventListener
from .handler_client import HandlerClient
from .history_check import HistoryCheck
from .job_runner import JobRunner
from .journal import Journal
from .lease_takeover import LeaseTakeover
from .reconcile import reconcile
from .record_check import RecordCheck
from .rendezvous_hash import RendezvousHash
from .schema import PendingItem

log = logging.getLogger(__name__)


IDLE_SECONDS = 1.0
COUNT_SECONDS = 2.0
"""How old the count of items without a handler may be; items that came later are not counted."""

CLAIM_INTERVAL_SECONDS = 0.05
"""Between two batches of claims while some are unanswered: few large transactions cost less."""

MAX_UNREAD = MAX_WRITE_BYTES // LARGEST_CLAIM_BYTES
"""Items that fit into one transaction however large their records are: these are claimed unread.
If there are more, their records are read first, so that a transaction holds as many as fit."""

CATCH_UP_SECONDS = 10.0
"""How long the reconciliation waits at the start for the events to be read to the end."""


class Processor:
    """Works on the items of one contract with one wallet. `scope` names chain and contract.

    Its jobs and claims are tasks of the group `tasks`, so that an unexpected error in one ends all.
    `wake` is set by whatever may make an item claimable. Items of this worker in the journals
    `beside` its own take places with the handlers, too.
    """

    def __init__(
        self,
        node: Node,
        subscription: BlockSubscription,
        submitter: ContractSubmitter,
        journal: Journal,
        handlers: HandlerClient,
        *,
        tasks: asyncio.TaskGroup,
        wake: asyncio.Event,
        scope: str,
        lease_seconds: int,
        beside: Sequence[Journal] = (),
    ) -> None:
        self._node = node
        self._subscription = subscription
        self._journal = journal
        self._beside = beside
        self._handlers = handlers
        self._wake = wake
        self._lease_seconds = lease_seconds
        self._ranking = RendezvousHash(submitter.address)
        takeover = LeaseTakeover()
        # A clock that is behind the chain's would hold items back that may be claimed.
        self._rules = ClaimRules(node, journal, lambda: max(time.time(), subscription.time))
        self._runner = JobRunner(submitter, handlers, journal, tasks=tasks, wake=wake, scope=scope)
        self._listener = EventListener(
            node,
            journal,
            self._ranking,
            takeover,
            wake,
            history=HistoryCheck(node, subscription),
            me=submitter.address,
            lease_seconds=lease_seconds,
            stop=self._runner.stop,
        )
        self._claims = ClaimSender(
            submitter,
            journal,
            self._runner,
            takeover,
            tasks=tasks,
            wake=wake,
            lease_seconds=lease_seconds,
        )
        self._records = RecordCheck(
            node,
            journal,
            handlers,
            rules=self._rules,
            claims=self._claims,
            runner=self._runner,
            takeover=takeover,
            me=submitter.address,
            lease_seconds=lease_seconds,
        )
        self._caught_up = asyncio.Event()
        self._read_problem = ""
        self._read_outage = OutageLog("events are read again")
        self._unhandled: dict[str, int] = {}
        self._held_back: dict[str, int] = {}
        self._counted_at = 0.0

    def status(self) -> dict[str, Any]:
        """Return the heartbeat's fields."""
        now = time.monotonic()
        if now - self._counted_at > COUNT_SECONDS:
            self._counted_at = now
            self._unhandled = self._journal.count_due(
                now - COUNT_SECONDS, {"", *self._handlers.kinds}
            )
            self._held_back = self._journal.count_held_back()
        return {
            "held": len(self._runner),
            "items": self._runner.status(),
            "unhandled": self._unhandled if self._handlers.connected else {},
            "paused": [kind for kind in self._handlers.kinds if self._rules.is_paused(kind)],
            "held_back": self._held_back,
            "problem": self._read_problem
            or self._claims.problem
            or self._runner.problem
            or self._handlers.problem,
        }

    async def follow_events(self, watchdog: LoopWatchdog) -> None:
        """Apply the events to the journal, without end."""
        while True:
            watchdog.beat()
            try:
                page = await self._listener.apply_next_page()
            except WorkflowError as error:
                self._read_problem = str(error)
                self._read_outage.record_failure(error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._read_problem = ""
            self._read_outage.record_success()
            if not page.more:
                self._caught_up.set()
            await self._listener.wait_for_more(page, self._subscription)

    async def renew_leases(self, watchdog: LoopWatchdog) -> None:
        """Renew the leases of claimed items, without end."""
        await self._runner.renew_leases(watchdog)

    async def reconcile(self, watchdog: LoopWatchdog) -> None:
        """Find open items whose events were missed, without end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._caught_up.wait(), CATCH_UP_SECONDS)
        await reconcile(
            self._node,
            self._journal,
            self._ranking,
            longest_wait=2.0 * self._lease_seconds,
            watchdog=watchdog,
        )

    async def claim(self, watchdog: LoopWatchdog) -> None:
        """Check items that are due and claim those that may be claimed, until `stop_claiming`."""
        await self._records.recover(watchdog)
        while not self._records.is_stopping:
            watchdog.beat()
            self._journal.flush()
            if self._claims.is_busy:
                await asyncio.sleep(CLAIM_INTERVAL_SECONDS)
            self._wake.clear()
            await self._read_pauses()
            held = self._journal.take_held_back(time.monotonic(), contract.BATCH_ENTRIES)
            await self._records.check_held_back(held)
            room = self._room()
            due = self._journal.claim_due(
                time.monotonic(), room, contract.BATCH_ENTRIES, self._ranking.delay
            )
            if due:
                unread = [item for item in due if item.is_fresh]
                if len(unread) > MAX_UNREAD:
                    unread = []
                self._claims.send([self._claim_unread(item) for item in unread])
                ids = {item.item_id for item in unread}
                await self._records.check([item for item in due if item.item_id not in ids])
            else:
                await self._until_due([kind for kind, places in room.items() if places])
        watchdog.idle()
        await self._claims.wait()

    def stop_claiming(self) -> None:
        """Let `claim` return once the claims that were sent are answered."""
        self._records.is_stopping = True
        self._wake.set()

    async def drain(self, seconds: float) -> None:
        """Let running handlers end, and release what does not end in time.

        Claims that are not answered yet are given up; the next start checks their items.
        """
        self._claims.cancel()
        await self._runner.drain(seconds)

    def _room(self) -> dict[str, int]:
        """Return how many items of each kind may be claimed; "" stands for unknown kinds.

        Items of an unknown kind are only checked, by which their kind becomes known.
        """
        room = {"": contract.BATCH_ENTRIES}
        if not self._handlers.connected or self._claims.is_forbidden:
            return room
        busy: Counter[str] = Counter()
        for journal in (self._journal, *self._beside):
            busy.update(journal.busy())
        for name, kind in self._handlers.kinds.items():
            if not self._rules.is_paused(name):
                room[name] = max(0, kind.concurrency - busy[name])
        return room

    async def _read_pauses(self) -> None:
        try:
            await self._rules.refresh()
        except WorkflowError as error:  # the contract knows them, too
            self._claims.outage.record_failure(error)

    async def _until_due(self, kinds: Sequence[str]) -> None:
        due = self._journal.next_due(kinds)
        wait = IDLE_SECONDS if due is None else min(IDLE_SECONDS, max(0.01, due - time.monotonic()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), wait)

    def _claim_unread(self, item: PendingItem) -> PlannedClaim:
        """Claim an item that was free a moment ago; if it is not, the chain says so."""
        action = contract.claim_optimistically(item.item_id, self._lease_seconds)
        return PlannedClaim(item.kind, action, is_unread=True)
