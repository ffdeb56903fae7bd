"""The processor: looks at what is due, claims what may be claimed, works on what it holds.

The journal knows when to look at which item; what to do is decided by the item's record alone. So a
restart, a lost answer or a missed event need no case of their own: the next look tells.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..chain import contract
from ..chain.heads import Heads
from ..chain.node import Node
from ..chain.submitter import Submitter
from ..chain.tickets import Ticket
from ..chain.written import LARGEST_CLAIM, LIMIT
from ..errors import WorkflowError
from ..items import SETTLED, Item
from ..outage import Outage
from ..pulse import Pulse
from .contest import Contest
from .journal import Journal, Open
from .reader import Reader
from .remote import Remote
from .spread import Spread
from .sweep import sweep
from .taken import Taken
from .work import Work

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
TROUBLE_SECONDS = 1.0
COUNT_SECONDS = 2.0
GATHER_SECONDS = 0.05
"""Claims are at least so far apart while others are on their way: few large ones cost less."""

UNREAD = LIMIT // LARGEST_CLAIM
"""So many items fit into one transaction whatever their records are: they are claimed unread. Of
more the records are read first, so that a transaction can hold as many as fit."""

LEVEL_SECONDS = 10.0


class _Wanted(NamedTuple):
    """An item to claim; `held` is its record where another worker held it when we looked."""

    kind: str
    action: contract.Action
    held: Item | None = None


class Processor:
    """Works on the items of one contract with one wallet. `scope` names chain and contract."""

    def __init__(
        self,
        node: Node,
        heads: Heads,
        submitter: Submitter,
        journal: Journal,
        remote: Remote,
        *,
        scope: str,
        lease_seconds: int,
    ) -> None:
        self._node = node
        self._heads = heads
        self._submitter = submitter
        self._journal = journal
        self._remote = remote
        self._lease_seconds = lease_seconds
        self._taken = Taken(journal)
        self._spread = Spread(submitter.address)
        self._contest = Contest()
        self._reader = Reader(
            node,
            journal,
            self._taken,
            self._spread,
            self._contest,
            me=submitter.address,
            lease_seconds=lease_seconds,
        )
        self._work = Work(submitter, remote, journal, self._taken, scope)
        self._claiming: dict[asyncio.Task[None], Counter[str]] = {}
        self._wake = asyncio.Event()
        self._level = asyncio.Event()
        self._stopping = False
        self._barred = 0.0
        self._read_problem = self._claim_problem = ""
        self._read_outage = Outage("events are read again")
        self._claim_outage = Outage("items are claimed again")
        self.fault: Exception | None = None
        """What ended a part of the processor: the rest is not to go on without it."""
        self._unhandled: dict[str, int] = {}
        self._counted = 0.0
        self._reader.on_open = self._work.on_free = remote.on_change = self._wake.set
        self._work.on_fault = self._failed

    def _failed(self, error: Exception) -> None:
        self.fault = error

    def status(self) -> dict[str, Any]:
        """Return what the processor says of itself."""
        if time.monotonic() - self._counted > COUNT_SECONDS:
            self._counted = time.monotonic()
            self._unhandled = self._journal.waiting(
                time.monotonic() - COUNT_SECONDS, {"", *self._remote.kinds}
            )
        return {
            "held": len(self._work),
            "items": self._work.told(),
            "unhandled": self._unhandled if self._remote.connected else {},
            "problem": self._read_problem
            or self._claim_problem
            or self._work.problem
            or self._remote.problem,
        }

    async def read(self, pulse: Pulse) -> None:
        """Follow the events, for ever."""
        while True:
            pulse()
            try:
                page = await self._reader.step()
            except WorkflowError as error:
                self._read_problem = str(error)
                self._read_outage.failed(error)
                await asyncio.sleep(TROUBLE_SECONDS)
                continue
            self._read_problem = ""
            self._read_outage.well()
            if not page.more:
                self._level.set()
            await self._reader.until_more(page, self._heads)

    async def renew(self, pulse: Pulse) -> None:
        """Keep the leases of what is held, for ever."""
        await self._work.renew(pulse)

    async def sweep(self, pulse: Pulse) -> None:
        """Find what the events did not tell of, for ever, even where they tell nothing."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._level.wait(), LEVEL_SECONDS)
        await sweep(
            self._node,
            self._journal,
            self._taken,
            self._spread,
            latest=2.0 * self._lease_seconds,
            pulse=pulse,
        )

    async def claim(self, pulse: Pulse) -> None:
        """Look at what is due and take what may be taken, until `stop_claiming`."""
        await self._recover(pulse)
        while not self._stopping:
            pulse()
            self._taken.save()
            if self._claiming:
                await asyncio.sleep(GATHER_SECONDS)
            self._wake.clear()
            free = self._free()
            ids = self._journal.due(
                time.monotonic(), free, contract.BATCH_ENTRIES, self._spread.delay
            )
            if ids:
                self._taken.take(ids)
                fresh = self._reader.take_fresh(ids)
                if len(fresh) > UNREAD:
                    fresh = {}
                self._begin([self._unread(item_id, kind) for item_id, kind in fresh.items()])
                await self._look_safely([item_id for item_id in ids if item_id not in fresh])
            else:
                await self._until_work([kind for kind, room in free.items() if room])
        pulse.rest()
        await asyncio.gather(*self._claiming)

    async def _recover(self, pulse: Pulse) -> None:
        """Look first at what an earlier process had taken: its leases run."""
        ids = self._journal.recover()
        self._taken.take(ids)
        for start in range(0, len(ids), contract.BATCH_ENTRIES):
            pulse()
            await self._look_safely(ids[start : start + contract.BATCH_ENTRIES])

    def stop_claiming(self) -> None:
        """Let `claim` end with what it has under way."""
        self._stopping = True
        self._wake.set()

    async def drain(self, seconds: float) -> None:
        """Let what is held end, and give back what does not end in time."""
        await self._work.drain(seconds)

    def _free(self) -> dict[str, int]:
        """Return how many items of each kind may be taken; "" are those of an unknown kind."""
        free = {"": contract.BATCH_ENTRIES}
        if not self._remote.connected or time.monotonic() < self._barred:
            return free
        running = self._work.running()
        claiming = sum(self._claiming.values(), Counter[str]())
        for name, kind in self._remote.kinds.items():
            free[name] = max(0, kind.concurrency - running[name] - claiming[name])
        return free

    async def _until_work(self, kinds: Sequence[str]) -> None:
        due = self._journal.next_due(kinds)
        wait = IDLE_SECONDS if due is None else min(IDLE_SECONDS, max(0.01, due - time.monotonic()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), wait)

    async def _look_safely(self, ids: Sequence[str]) -> None:
        if not ids:
            return
        try:
            records = await self._node.items(ids)
        except WorkflowError as error:
            self._claim_outage.failed(error)
            due = time.monotonic() + TROUBLE_SECONDS
            self._taken.put_down([Open(item_id, "", due) for item_id in ids])
            await asyncio.sleep(TROUBLE_SECONDS)
            return
        self._look(dict(zip(ids, records, strict=True)))

    def _look(self, records: dict[str, Item | None]) -> None:
        """Decide by the records what to do with taken items."""
        now = time.monotonic()
        claims: list[_Wanted] = []
        later: list[Open] = []
        settled: list[str] = []
        for item_id, item in records.items():
            if item is None or item.status in SETTLED:
                settled.append(item_id)
                self._contest.forget(item_id)
            elif item.status == "processing" and item.worker == self._submitter.address:
                self._work.hold(item, recovered=True)
            elif self._stopping or item.kind not in self._remote.kinds or now < self._barred:
                later.append(Open(item_id, item.kind, now))
            elif item.status == "processing" and (due := self._contest.when(item, now)) > now:
                later.append(Open(item_id, item.kind, due))
            else:
                action = contract.claim(item, self._lease_seconds)
                claims.append(
                    _Wanted(item.kind, action, item if item.status != "submitted" else None)
                )
        self._taken.put_down(later, settled)
        self._begin(claims)

    def _unread(self, item_id: str, kind: str) -> _Wanted:
        """Want an item that surely was free a moment ago: the chain will tell, and its record."""
        return _Wanted(kind, contract.claim_unread(item_id, self._lease_seconds))

    def _begin(self, claims: Sequence[_Wanted]) -> None:
        if claims:
            task = asyncio.create_task(self._claim(claims), name="claim")
            self._claiming[task] = Counter(wanted.kind for wanted in claims)
            task.add_done_callback(self._claimed)

    def _claimed(self, task: asyncio.Task[None]) -> None:
        del self._claiming[task]
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._failed(error)
        self._wake.set()

    async def _claim(self, claims: Sequence[_Wanted]) -> None:
        """Claim items, begin to work on those that were got, put down the others."""
        sent: list[tuple[_Wanted, Ticket]] = []
        for wanted in claims:
            try:
                sent.append((wanted, self._submitter.enqueue(wanted.action)))
            except WorkflowError as error:
                self._refused(wanted, error)
        later: list[Open] = []
        for wanted, ticket in sent:
            try:
                outcome = await ticket.outcome()
            except WorkflowError as error:
                self._refused(wanted, error)
                continue
            now, item_id = time.monotonic(), wanted.action.item_id
            if outcome.item is not None:
                self._claim_problem = ""
                self._claim_outage.well()
                self._contest.forget(item_id)
                self._work.hold(outcome.item)
            elif outcome.code == "leased":
                due = self._contest.refused(wanted.held, now) if wanted.held else now
                later.append(Open(item_id, wanted.kind, due))
            else:
                later.append(Open(item_id, wanted.kind, now + TROUBLE_SECONDS))
                if outcome.code == "forbidden":
                    # So is every other claim; whether it still is, one of them shows in a while.
                    self._claim_problem = outcome.message
                    self._barred = now + self._lease_seconds
        self._taken.put_down(later)

    def _refused(self, wanted: _Wanted, error: WorkflowError) -> None:
        self._claim_problem = str(error)
        item_id = wanted.action.item_id
        self._claim_outage.failed(error)
        self._taken.put_down([Open(item_id, wanted.kind, time.monotonic() + TROUBLE_SECONDS)])
