"""Reads the records of items in hand, and decides by each record what to do with its item.

The record on the chain alone decides. So a restart, a lost answer and a missed event need no
handling of their own: the next check of the record shows what became of the item.
"""

import asyncio
import time
from collections.abc import Sequence

from ..chain import contract
from ..chain.node import Node
from ..errors import WorkflowError
from ..items import FINAL_STATUSES, Item
from ..watchdog import LoopWatchdog
from .claim_rules import ClaimRules
from .claim_sender import RETRY_SECONDS, ClaimSender, PlannedClaim
from .handler_client import HandlerClient
from .job_runner import JobRunner
from .journal import Journal
from .lease_takeover import LeaseTakeover
from .schema import Hold, PendingItem

UNCOMMITTED_SECONDS = 0.2
BEHIND_SECONDS = 10.0
"""Until the next check of an item that may be there after all: the state of the newest block that
events were read of is not committed yet, or the node is behind that block."""

type _Records = list[tuple[PendingItem, Item | None]]


class RecordCheck:
    """Settles, runs, claims or schedules the items of worker `me` by their records.

    With `is_stopping` it claims nothing more.
    """

    def __init__(
        self,
        node: Node,
        journal: Journal,
        handlers: HandlerClient,
        *,
        rules: ClaimRules,
        claims: ClaimSender,
        runner: JobRunner,
        takeover: LeaseTakeover,
        me: str,
        lease_seconds: int,
    ) -> None:
        self._node = node
        self._journal = journal
        self._handlers = handlers
        self._rules = rules
        self._claims = claims
        self._runner = runner
        self._takeover = takeover
        self._me = me
        self._lease_seconds = lease_seconds
        self.is_stopping = False

    async def recover(self, watchdog: LoopWatchdog) -> None:
        """Check first what an earlier process had in hand, because its leases run.

        An item of this worker takes no place of those that may be claimed, so that none is put back
        to wait for one.
        """
        items = self._journal.recover()
        for start in range(0, len(items), contract.BATCH_ENTRIES):
            found = None
            while found is None and not self.is_stopping:
                watchdog.beat()
                found = await self._read(items[start : start + contract.BATCH_ENTRIES])
            self._decide(found or [])

    async def check(self, items: Sequence[PendingItem]) -> None:
        """Read the records of items in hand and act on them."""
        self._decide(await self._read_or_put_back(items))

    async def check_held_back(self, items: Sequence[PendingItem]) -> None:
        """Check items that a rule held back; those that may be claimed now wait for their place.

        So the others, however many they are, take no place of those that may be claimed.
        """
        decided: _Records = []
        free: list[PendingItem] = []
        now = time.monotonic()
        for pending, item in await self._read_or_put_back(items):
            if item is None or _is_gone(item) or self._may_end(item):
                decided.append((pending, item))
            else:
                free.append(pending._replace(due=now, hold=Hold.NONE, is_fresh=False))
        self._journal.schedule(free)
        self._decide(decided)

    async def _read_or_put_back(self, items: Sequence[PendingItem]) -> _Records:
        found = await self._read(items)
        if found is None:
            due = time.monotonic()  # the pause is over
            self._journal.schedule([item._replace(due=due) for item in items])
        return found or []

    async def _read(self, items: Sequence[PendingItem]) -> _Records | None:
        """Return items in hand with their records, without those that a rule holds back.

        Returns None after a pause where they can't be read.
        """
        if not items:
            return []
        try:
            records = await self._node.items([item.item_id for item in items])
            paired = await self._without_doubtful(list(zip(items, records, strict=True)))
            held = await self._rules.hold_back(
                [i for _, i in paired if i is not None and i.status == "submitted"]
            )
        except WorkflowError as error:
            self._claims.outage.record_failure(error)
            await asyncio.sleep(RETRY_SECONDS)
            return None
        return [each for each in paired if each[0].item_id not in held]

    async def _without_doubtful(self, paired: _Records) -> _Records:
        """Put back what seems to be settled in a state that is older than the events.

        To settle an item is to forget its tries and its result. The next block's header tells that
        a block's state is committed, and the index may have the block before that.
        """
        gone = [pending for pending, item in paired if _is_gone(item)]
        if not gone:
            return paired
        height = (await self._node.status()).height
        ids = [pending.item_id for pending in gone]
        records = dict(zip(ids, await self._node.items(ids), strict=True))
        paired = [(each, records.get(each.item_id, item)) for each, item in paired]
        read_to = self._journal.cursor().position.height
        if height > read_to:
            return paired
        due = time.monotonic() + (UNCOMMITTED_SECONDS if height == read_to else BEHIND_SECONDS)
        self._journal.schedule([each._replace(due=due) for each, item in paired if _is_gone(item)])
        return [each for each in paired if not _is_gone(each[1])]

    def _decide(self, records: _Records) -> None:
        now = time.monotonic()
        claims: list[PlannedClaim] = []
        later: list[PendingItem] = []
        settled: list[str] = []
        for pending, item in records:
            if item is None or _is_gone(item):
                settled.append(pending.item_id)
                self._takeover.forget(pending.item_id)
            elif item.status == "processing" and item.worker == self._me:
                self._runner.start(item, is_recovered=True)
            elif self._may_not_claim(item.kind) and not self._may_end(item):
                later.append(_pending(item, now))
            elif (due := self._claimable_at(item, now)) > now:
                later.append(_pending(item, due))
            else:
                action = contract.claim(item, self._lease_seconds)
                held = item if item.status != "submitted" else None
                claims.append(PlannedClaim(item.kind, action, held))
        self._journal.schedule(later)
        self._journal.settle(settled)
        # The kind of some items is known from their record only; claims under way count by kind.
        self._journal.set_kinds((claim.action.item_id, claim.kind) for claim in claims)
        self._claims.send(claims)

    def _may_end(self, item: Item) -> bool:
        """Tell whether a claim would end an item whose holder was asked to stop, and may be gone.

        The contract lets anybody do so, also where claims of the kind are paused.
        """
        return (
            item.status == "processing"
            and item.stop_requested_at is not None
            and item.worker != self._me
            and not self.is_stopping
        )

    def _may_not_claim(self, kind: str) -> bool:
        return (
            self.is_stopping
            or kind not in self._handlers.kinds
            or self._claims.is_forbidden
            or self._rules.is_paused(kind)
        )

    def _claimable_at(self, item: Item, now: float) -> float:
        return self._takeover.contend_at(item, now) if item.status == "processing" else now


def _is_gone(item: Item | None) -> bool:
    return item is None or item.status in FINAL_STATUSES


def _pending(item: Item, due: float) -> PendingItem:
    return PendingItem(
        item.item_id, item.kind, due, priority=item.priority, hold=Hold.of_stop(item)
    )
