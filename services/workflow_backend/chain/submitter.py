"""Writes: what waits for this wallet goes into one transaction, the next while that is under way.

A full group goes at once, a lone action too when nothing is on its way; else a transaction gathers
what comes for a moment, because each costs the node a fixed price.

One task owns the nonce and every transaction in flight. A transaction whose answer was lost is sent
again as the same bytes, in nonce order. Only when the chain's nonce has passed it, the chain does
not know its hash and the items' records show no effect is its work signed anew.
"""

import asyncio
import contextlib
import logging
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Any

from xian_py.exception import XianException
from xian_py.transaction import PreparedTransaction

from ..background import background
from ..errors import (
    ForeignRecord,
    NodeUnavailable,
    NodeUnreachable,
    Overloaded,
    TransactionFailed,
)
from ..items import Outcome
from ..pulse import Pulse
from .chi import ChiBudget
from .contract import BATCH_ENTRIES, BATCH_FUNCTION, Action, group, outcomes
from .heads import Heads
from .lost import settle_by_record
from .node import Node
from .tickets import Sent, Ticket, halves
from .transactions import Transactions, failure_of, receipt_of
from .wallet import Account

log = logging.getLogger(__name__)

MAX_WAITING = 10_000
MAX_IN_FLIGHT = 8
GATHER_SECONDS = 0.025
STALL_SECONDS = 2.0
LOST_LOOKUPS = 5
_EXPECTED = re.compile(r"nonce is invalid\. Expected (\d+)")


class _NodeFullError(Exception):
    """The node takes no more transactions until the next block."""


class Submitter:
    """The one writer of one wallet. `transactions` counts those that came into a block."""

    def __init__(
        self,
        node: Node,
        heads: Heads,
        account: Account,
        chain_id: str,
        pulse: Pulse | None = None,
    ) -> None:
        self._node = node
        self._heads = heads
        self._transactions = Transactions(node, account, chain_id)
        self._pulse = pulse or Pulse("submitter")
        self._budget = ChiBudget()
        self._waiting: deque[Ticket] = deque()
        self._split: deque[list[Ticket]] = deque()
        self._in_flight: deque[Sent] = deque()
        self._nonce: int | None = None
        self._sent_at = 0.0
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.address = account.address
        self.transactions = 0

    @contextlib.asynccontextmanager
    async def running(self, drain_seconds: float = 10.0) -> AsyncIterator[Submitter]:
        """Write in the background; at the end wait for what is on its way, up to a limit."""
        async with background(self._run(), "submitter"):
            yield self
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), drain_seconds)

    @property
    def waiting(self) -> int:
        """How many actions wait for a transaction."""
        return len(self._waiting) + sum(len(tickets) for tickets in self._split)

    @property
    def in_flight(self) -> int:
        """How many transactions are on their way."""
        return len(self._in_flight)

    def enqueue(self, action: Action) -> Ticket:
        """Take an action into the queue; raises Overloaded where too much waits already."""
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded(f"{MAX_WAITING} actions wait for wallet {self.address} already")
        ticket = Ticket(action)
        self._waiting.append(ticket)
        self._idle.clear()
        self._work.set()
        return ticket

    async def submit(self, action: Action) -> Outcome:
        """Do one action and return what became of it."""
        return await self.enqueue(action).outcome()

    async def _run(self) -> None:
        pause = 0.0
        while True:
            self._pulse()
            try:
                progress = await self._fill() + await self._look()
                pause = 0.0 if progress else min(0.1, pause * 2 or 0.005)
            except _NodeFullError as error:
                log.info("waiting for a block: %s", error)
                pause = 0.1
            except NodeUnavailable as error:
                log.warning("%s", error.explain())
                self._refuse_unsent(error)
                pause = 1.0
            except Exception:
                # A fault of ours must not leave every caller waiting in silence.
                log.exception("the submitter stumbled")
                pause = 1.0
            if await self._rest(pause):
                pause = 0.0

    async def _rest(self, pause: float) -> bool:
        """Wait for work, a block or the end of the pause; tell whether a block came."""
        if not self._in_flight and not self._waiting and not self._split:
            self._idle.set()
            self._work.clear()
            self._pulse.rest()
            await self._work.wait()
            return False
        if self._waiting:
            pause = min(pause, GATHER_SECONDS)
        return pause > 0 and await self._heads.wait(pause)

    async def _fill(self) -> int:
        """Send what waits and has been gathered long enough."""
        sent = 0
        while len(self._in_flight) < MAX_IN_FLIGHT:
            tickets = self._next_group()
            if not tickets:
                break
            try:
                await self._send(tickets)
            except NodeUnavailable:
                if not self._in_flight or self._in_flight[-1].tickets is not tickets:
                    self._split.appendleft(tickets)
                raise
            except _NodeFullError:
                raise
            except Exception as error:
                for ticket in tickets:
                    ticket.settle(TransactionFailed(f"the transaction can't be made: {error!r}"))
                raise
            sent += 1
        return sent

    def _next_group(self) -> list[Ticket]:
        while self._waiting and self._waiting[0].future.cancelled():
            self._waiting.popleft()
        if self._split:
            return self._split.popleft()
        count = group([ticket.action for ticket in islice(self._waiting, BATCH_ENTRIES)])
        gathering = time.monotonic() - self._sent_at < GATHER_SECONDS * len(self._in_flight)
        if gathering and count == len(self._waiting):
            return []
        return [self._waiting.popleft() for _ in range(count)]

    async def _send(self, tickets: list[Ticket]) -> None:
        if self._nonce is None:
            self._nonce = await self._node.next_nonce(self.address)
        try:
            signed = self._sign([ticket.action for ticket in tickets], self._nonce)
        except XianException as error:
            self._halve(tickets, TransactionFailed(f"the transaction can't be signed: {error}"))
            return
        for ticket in tickets:
            ticket.tx_hash = signed.tx_hash
        transaction = Sent(self._nonce, signed, tickets)
        # From here on the node may have it, whatever we hear: it counts as sent.
        self._in_flight.append(transaction)
        self._sent_at = transaction.sent_at
        self._nonce += 1
        try:
            refusal = await self._broadcast(transaction)
        except NodeUnreachable:
            self._take_back()
            raise
        if refusal is not None:
            self._take_back()
            self._refused(tickets, refusal)

    def _sign(self, actions: Sequence[Action], nonce: int) -> PreparedTransaction:
        batch = {"batch": [action.entry for action in actions]}
        return self._transactions.sign(BATCH_FUNCTION, batch, nonce, self._budget.supply(actions))

    def _take_back(self) -> None:
        """Forget the transaction sent last: the node surely does not have it."""
        self._nonce = self._in_flight.pop().nonce

    async def _broadcast(self, transaction: Sent) -> str | None:
        self._pulse()
        return await self._transactions.broadcast(transaction.signed)

    def _refused(self, tickets: list[Ticket], refusal: str) -> None:
        """The node would not take a fresh transaction: it had no effect and its nonce is free."""
        expected = _EXPECTED.search(refusal)
        if expected:
            log.info("nonce %s is not the next: taking %s", self._nonce, expected[1])
            self._nonce = int(expected[1])
            self._split.appendleft(tickets)
        elif "Too many pending" in refusal or "mempool is full" in refusal:
            self._split.appendleft(tickets)
            raise _NodeFullError(refusal)
        else:
            self._halve(tickets, TransactionFailed(f"the node refuses the transaction: {refusal}"))

    def _halve(self, tickets: list[Ticket], error: TransactionFailed) -> None:
        """Isolate the entry that spoils a transaction; alone, it gets the error."""
        if len(tickets) == 1:
            tickets[0].settle(error)
        else:
            self._split.extendleft(reversed(halves(tickets)))

    async def _look(self) -> int:
        """Settle every transaction that is in a block; see after those that are overdue."""
        settled = 0
        for transaction in list(self._in_flight):
            self._pulse()
            found = await self._transactions.lookup(transaction.signed.tx_hash)
            if found is None:
                if time.monotonic() - transaction.sent_at > STALL_SECONDS:
                    await self._chase(transaction)
                break
            try:
                await self._finish(transaction, found)
            except (LookupError, TypeError, ValueError, ForeignRecord) as error:
                # It is in a block, and will read no better the next time.
                log.exception("transaction %s can't be read", transaction.signed.tx_hash)
                failure = TransactionFailed(f"what the chain answered can't be read: {error!r}")
                for ticket in transaction.tickets:
                    ticket.settle(failure)
            self._in_flight.remove(transaction)
            settled += 1
        return settled

    async def _finish(self, transaction: Sent, found: dict[str, Any]) -> None:
        """Hand out what a transaction in a block came to."""
        self.transactions += 1
        tickets, tx_hash = transaction.tickets, transaction.signed.tx_hash
        actions = [ticket.action for ticket in tickets]
        receipt = receipt_of(found)
        failure = failure_of(found)
        if failure is not None:
            if "chi" in failure.lower() and self._budget.exhausted(actions):
                self._split.appendleft(tickets)
            else:
                self._halve(tickets, TransactionFailed(f"transaction {tx_hash} failed: {failure}"))
            return
        self._budget.learn(actions, int(receipt["chi_used"]))
        decided = outcomes(actions, receipt, tx_hash, int(found["height"]))
        if decided is None:
            await self._settle_by_record(transaction)
            return
        for ticket, outcome in zip(tickets, decided, strict=True):
            ticket.settle(outcome)

    async def _chase(self, transaction: Sent) -> None:
        """Find out what became of an overdue transaction, the oldest one in flight."""
        committed = await self._node.committed_nonce(self.address)
        transaction.sent_at = time.monotonic()
        if committed < transaction.nonce:
            refusals = [await self._broadcast(waiting) for waiting in list(self._in_flight)]
            expected = _EXPECTED.search(refusals[0] or "")
            if expected and int(expected[1]) < transaction.nonce:
                # The chain stands before where it stood when it took this: it was restored.
                await self._start_over()
            return
        transaction.lookups += 1
        if transaction.lookups < LOST_LOOKUPS:
            transaction.sent_at -= STALL_SECONDS / 2  # the block is there, its index may be late
            return
        await self._settle_by_record(transaction)
        self._in_flight.remove(transaction)

    async def _start_over(self) -> None:
        while self._in_flight:
            await self._settle_by_record(self._in_flight[0])
            self._in_flight.popleft()
        self._nonce = None

    async def _settle_by_record(self, transaction: Sent) -> None:
        again = await settle_by_record(self._node, self.address, transaction)
        log.warning(
            "transaction %s is lost: %d to do again", transaction.signed.tx_hash, len(again)
        )
        if again:
            self._split.append(again)

    def _refuse_unsent(self, error: NodeUnavailable) -> None:
        """Nothing of these has left: their callers may hear at once that the node is away."""
        while self._waiting:
            self._waiting.popleft().settle(error)
        while self._split:
            for ticket in self._split.popleft():
                ticket.settle(error)
