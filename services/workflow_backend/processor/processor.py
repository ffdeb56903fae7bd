"""The processor: a reader that learns what is open, a claimer, and a task for each item it holds.

The journal knows when to look at which item; what to do is decided by the item's record alone. So a
restart, a lost answer or a missed event need no case of their own: the next look tells.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from ..chain import contract
from ..chain.events import EventReader, until_more
from ..chain.heads import Heads
from ..chain.node import Node
from ..chain.submitter import Submitter
from ..errors import IndexUnavailable, NodeUnavailable, Overloaded, TransactionFailed, WorkflowError
from ..items import SETTLED, Event, Item
from .journal import Journal, Result

log = logging.getLogger(__name__)

type Handler = Callable[[Item], Awaitable[Result]]

CONCURRENCY = 400
LEASE_SECONDS = 60
FIRST_CONTEST_SECONDS = 60.0
IDLE_SECONDS = 1.0
TROUBLE_SECONDS = 1.0


class Processor:
    """Works on the items of one contract with one wallet."""

    def __init__(
        self, node: Node, heads: Heads, submitter: Submitter, journal: Journal, handler: Handler
    ) -> None:
        self._node = node
        self._heads = heads
        self._submitter = submitter
        self._journal = journal
        self._handler = handler
        self._reader = EventReader(node, contract.ITEM_EVENTS)
        self._held: dict[str, asyncio.Task[None]] = {}
        self._renewed: dict[str, tuple[Item, float]] = {}
        self._work = asyncio.Event()
        self.problem = ""
        self._stopping = False

    @property
    def held(self) -> int:
        """How many items this processor works on now."""
        return len(self._held)

    async def read(self) -> None:
        """Follow the events and write down which items are open, for ever."""
        cursor = self._journal.cursor()
        self._journal.everything_due()
        while True:
            try:
                page = await self._reader.page(cursor)
            except (NodeUnavailable, IndexUnavailable) as error:
                await self._trouble(error)
                continue
            self.problem = ""
            if page.events:
                self._journal.read(page.cursor, self._plan(page.events))
                cursor = page.cursor
                self._work.set()
            await until_more(page, self._heads)

    def _plan(self, events: Sequence[Event]) -> dict[str, float | None]:
        now = time.time()
        due: dict[str, float | None] = {}
        for event in events:
            item_id = event.item_id
            if item_id is None or item_id in self._held:
                continue
            match event.name:
                case "ItemSubmitted":
                    due[item_id] = now
                case "ItemClaimed" if event.data["worker"] != self._submitter.address:
                    due[item_id] = now + FIRST_CONTEST_SECONDS
                case "ItemClaimed":
                    pass
                case _:
                    due[item_id] = None
        return due

    async def claim(self) -> None:
        """Look at what is due and take what may be taken, until `stop_claiming`."""
        while not self._stopping:
            self._work.clear()
            free = min(CONCURRENCY - len(self._held), contract.BATCH_ENTRIES)
            ids = self._journal.due(time.time(), free, self._held)
            if not ids:
                await self._until_work(free)
                continue
            try:
                await self._look(ids)
            except WorkflowError as error:
                await self._trouble(error)

    def stop_claiming(self) -> None:
        """Let `claim` end with what it has under way."""
        self._stopping = True
        self._work.set()

    async def _until_work(self, free: int) -> None:
        due = self._journal.next_due() if free > 0 else None
        wait = IDLE_SECONDS if due is None else min(IDLE_SECONDS, max(0.01, due - time.time()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._work.wait(), wait)

    async def _look(self, ids: Sequence[str]) -> None:
        claims = []
        for item_id, item in zip(ids, await self._node.items(ids), strict=True):
            if item is None or item.status in SETTLED:
                self._journal.forget([item_id])
            elif self._is_mine(item):
                self._hold(item)
            else:
                claims.append(item)
        # Should this end half-way, each is looked at again; until then no claim is made twice.
        self._journal.look_again([item.item_id for item in claims], time.time() + LEASE_SECONDS)
        results = await asyncio.gather(*(self._claim(item) for item in claims))
        for error in filter(None, results):
            raise error

    async def _claim(self, item: Item) -> WorkflowError | None:
        """Claim one item and begin to work on it; returns the error that kept it from that."""
        try:
            outcome = await self._submitter.submit(contract.claim(item, LEASE_SECONDS))
        except WorkflowError as error:
            self._journal.look_again([item.item_id], time.time() + TROUBLE_SECONDS)
            return error
        if outcome.item is not None:
            self._hold(outcome.item)
            return None
        wait = item.lease_seconds + 1.0 if outcome.code == "leased" else TROUBLE_SECONDS
        self._journal.look_again([item.item_id], time.time() + wait)
        if outcome.code == "forbidden":
            return WorkflowError(outcome.message)
        return None

    def _is_mine(self, item: Item) -> bool:
        return item.status == "processing" and item.worker == self._submitter.address

    def _hold(self, item: Item) -> None:
        self._journal.hold(item.item_id)
        task = asyncio.create_task(self._run(item), name=f"item {item.item_id}")
        self._held[item.item_id] = task
        self._renewed[item.item_id] = (item, time.monotonic())
        task.add_done_callback(lambda _: self._let_go(item))

    def _let_go(self, item: Item) -> None:
        del self._held[item.item_id]
        del self._renewed[item.item_id]
        self._work.set()

    async def _run(self, item: Item) -> None:
        result = self._journal.unreported(item.item_id, item.attempt)
        if result is None:
            try:
                result = await self._handler(item)
            except Exception as error:
                log.exception("item %s: its handler failed", item.item_id)
                result = Result(completed=False, text=f"handler failed: {type(error).__name__}")
            self._journal.result(item.item_id, item.attempt, result)
        if await self._report(item, result):
            self._journal.forget([item.item_id])
        else:
            self._journal.look_again([item.item_id], time.time() + LEASE_SECONDS)

    async def _report(self, item: Item, result: Result) -> bool:
        """Tell the chain; returns False where the chain can't be told."""
        report = contract.complete if result.completed else contract.fail
        while True:
            try:
                outcome = await self._submitter.submit(report(item, result.text))
            except (NodeUnavailable, Overloaded) as error:
                await self._trouble(error)
                continue
            except TransactionFailed:
                log.exception("item %s: its result can't be reported", item.item_id)
                return False
            if not outcome.ok:
                log.warning("item %s: report refused: %s", item.item_id, outcome.message)
            return True

    async def renew(self) -> None:
        """Keep the leases of what is held, for ever."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 6)
            now = time.monotonic()
            old = [item for item, at in self._renewed.values() if now - at > item.lease_seconds / 3]
            tickets = [(item, self._submitter.enqueue(contract.renew(item))) for item in old]
            for item, ticket in tickets:
                try:
                    outcome = await ticket.outcome()
                except (NodeUnavailable, TransactionFailed) as error:
                    await self._trouble(error)
                    break
                if outcome.ok and item.item_id in self._renewed:
                    self._renewed[item.item_id] = (item, now)
                elif item.item_id in self._held:
                    log.warning("item %s: lease not renewed: %s", item.item_id, outcome.message)

    async def drain(self, seconds: float) -> None:
        """Let what is held end, and give back what does not end in time."""
        if self._held:
            await asyncio.wait(self._held.values(), timeout=seconds)
        left = [
            item
            for item, _ in self._renewed.values()
            if self._journal.unreported(item.item_id, item.attempt) is None
        ]
        for task in list(self._held.values()):
            task.cancel()
        tickets = [self._submitter.enqueue(contract.release(item)) for item in left]
        await asyncio.gather(*(ticket.outcome() for ticket in tickets), return_exceptions=True)

    async def _trouble(self, error: Exception) -> None:
        self.problem = str(error)
        log.warning("%s", error)
        await asyncio.sleep(TROUBLE_SECONDS)
