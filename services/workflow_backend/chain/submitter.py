"""Writes: what waits for this wallet goes into one transaction, the next while that is under way.

A full group goes at once, a lone action too when nothing is on its way; else a transaction gathers
what comes for a moment, because each costs the node a fixed price.

One task owns the nonce and every transaction in flight. A transaction whose answer was lost, or
that a node lost with its mempool, is sent again as the same bytes, in nonce order, before anything
new. Only when the chain's nonce has passed it, the chain does not know its hash and the items'
records show no effect is its work signed anew.
"""

import asyncio
import contextlib
import logging
import re
import time
from collections import deque
from collections.abc import AsyncIterator

from xian_py.exception import XianException

from ..background import background
from ..errors import NodeUnavailable, NodeUnreachable, TransactionFailed
from ..items import Outcome
from ..pulse import Pulse
from .chi import ChiBudget
from .contract import BATCH_FUNCTION, Action
from .heads import Heads
from .node import Node
from .queue import ActionQueue
from .settler import Settler
from .tickets import Sent, Ticket
from .transactions import Transactions
from .wallet import Account

log = logging.getLogger(__name__)

MAX_WAITING = 10_000
MAX_IN_FLIGHT = 8
GATHER_SECONDS = 0.025
STALL_SECONDS = 2.0
LOST_LOOKUPS = 5
FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 2.0
_EXPECTED = re.compile(r"nonce is invalid\. Expected (\d+)")
_FULL = re.compile("Too many pending|mempool is full")


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
        self._queue = ActionQueue(MAX_WAITING)
        self._settler = Settler(node, account.address, self._queue, self._budget)
        self._in_flight: deque[Sent] = deque()
        self._nonce: int | None = None
        self._sent_at = 0.0
        self._backoff = self._send_from = 0.0
        self._resolve_from = 0.0
        self._is_mempool_lost = False
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.address = account.address
        self.transactions = 0

    @contextlib.asynccontextmanager
    async def running(self, drain_seconds: float = 10.0) -> AsyncIterator[Submitter]:
        """Write in the background; at the end wait for what is on its way, up to a limit."""
        try:
            async with background(self._run(), "submitter"):
                yield self
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._idle.wait(), drain_seconds)
        finally:
            error = NodeUnavailable("this service ends", hint="ask again")
            self._refuse_unsent(error)
            for transaction in self._in_flight:
                transaction.settle(error)

    @property
    def waiting(self) -> int:
        """How many actions wait for a transaction."""
        return len(self._queue)

    @property
    def in_flight(self) -> int:
        """How many transactions are on their way."""
        return len(self._in_flight)

    def enqueue(self, action: Action, client: str = "") -> Ticket:
        """Let a client's action wait; raises Overloaded where too many of it wait already."""
        ticket = Ticket(action, client)
        self._queue.add(ticket)
        self._idle.clear()
        self._work.set()
        return ticket

    def withdraw(self, ticket: Ticket) -> bool:
        """Take back an action that was not sent yet; tell whether it can have no effect now."""
        return self._queue.withdraw(ticket)

    async def submit(self, action: Action) -> Outcome:
        """Do one action and return what became of it."""
        return await self.enqueue(action).outcome()

    async def _run(self) -> None:
        pause = 0.0
        while True:
            self._pulse()
            try:
                progress = await self._poll_in_flight() + await self._send_pending()
                pause = 0.0 if progress else min(0.1, pause * 2 or 0.005)
            except NodeUnavailable as error:
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
        if not self._in_flight and not self._queue:
            self._idle.set()
            self._work.clear()
            self._pulse.rest()
            await self._work.wait()
            return False
        if self._queue and self._send_from <= time.monotonic():
            pause = min(pause, GATHER_SECONDS)
        return pause > 0 and await self._heads.wait(pause)

    async def _send_pending(self) -> int:
        """Send what waits and has been gathered long enough."""
        sent = 0
        while self._queue and len(self._in_flight) < MAX_IN_FLIGHT:
            if time.monotonic() < self._send_from:
                break
            if self._nonce is None:
                self._nonce = await self._node.next_nonce(self.address)
            since = time.monotonic() - self._sent_at
            tickets = self._queue.next_group(hold=since < GATHER_SECONDS * len(self._in_flight))
            if not tickets:
                break
            if await self._send(tickets, self._nonce):
                self._backoff = 0.0
                sent += 1
            else:
                self._back_off()
        return sent

    def _back_off(self) -> None:
        self._backoff = min(LONGEST_BACKOFF_SECONDS, self._backoff * 2 or FIRST_BACKOFF_SECONDS)
        self._send_from = time.monotonic() + self._backoff

    async def _send(self, tickets: list[Ticket], nonce: int) -> bool:
        """Send one transaction; tell whether the next may follow at once."""
        actions = [ticket.action for ticket in tickets]
        batch = {"batch": [action.entry for action in actions]}
        chi = self._budget.supply(actions)
        try:
            signed = self._transactions.sign(BATCH_FUNCTION, batch, nonce, chi)
        except XianException as error:
            failure = TransactionFailed(f"the transaction can't be signed: {error}")
            self._settler.bisect(tickets, failure)
            return True
        transaction = Sent(nonce, signed, tickets)
        # From here on the node may have it, whatever we hear: it counts as sent.
        self._in_flight.append(transaction)
        self._sent_at = transaction.sent_at
        self._nonce = nonce + 1
        try:
            refusal = await self._broadcast(transaction)
        except NodeUnreachable:
            self._queue.put_back(self._take_back())
            raise
        return refusal is None or self._refused(self._take_back(), refusal)

    def _take_back(self) -> list[Ticket]:
        """Forget the transaction sent last: the node surely does not have it."""
        transaction = self._in_flight.pop()
        self._nonce = transaction.nonce
        return transaction.tickets

    async def _broadcast(self, transaction: Sent) -> str | None:
        self._pulse()
        refusal = await self._transactions.broadcast(transaction.signed)
        if refusal is None:
            transaction.is_taken()
        return refusal

    def _refused(self, tickets: list[Ticket], refusal: str) -> bool:
        """The node would not take a fresh transaction: it had no effect and its nonce is free."""
        match = _EXPECTED.search(refusal)
        if match is None and not _FULL.search(refusal):
            error = TransactionFailed(f"the node refuses the transaction: {refusal}")
            self._settler.bisect(tickets, error)
            return True
        self._queue.put_back(tickets)
        if match is None:
            log.debug("waiting for a block: %s", refusal)
            return False
        expected = int(match[1])
        if self._in_flight and expected <= self._in_flight[-1].nonce:
            # A restart empties the node's mempool. What it lost keeps its nonces: another
            # transaction with one of them would stand in the way of those behind it.
            self._is_mempool_lost = True
            return False
        log.info("nonce %s is not the next: taking %s", self._nonce, expected)
        self._nonce = expected
        return True

    async def _poll_in_flight(self) -> int:
        """Settle what is in a block, and see after what should be."""
        settled = 0
        for transaction in list(self._in_flight):
            self._pulse()
            if not await self._settle_if_found(transaction):
                break
            settled += 1
        now = time.monotonic()
        if self._in_flight and (
            self._is_mempool_lost
            or now > max(self._resolve_from, self._in_flight[0].sent_at + STALL_SECONDS)
        ):
            await self._resolve_stalled()
        return settled

    async def _settle_if_found(self, transaction: Sent) -> bool:
        found = await self._transactions.lookup(transaction.tx_hash)
        if found is None:
            return False
        await self._settler.settle(transaction, found)
        self.transactions += 1
        self._in_flight.remove(transaction)
        self._backoff = self._send_from = 0.0  # a block has made room
        return True

    async def _resolve_stalled(self) -> None:
        """Find out what became of all that is in flight, at once."""
        committed = await self._node.committed_nonce(self.address)
        passed = [sent for sent in self._in_flight if sent.nonce <= committed]
        pause = STALL_SECONDS / 2 if passed else STALL_SECONDS  # an index of blocks may be late
        self._resolve_from = time.monotonic() + pause
        self._is_mempool_lost = False
        for transaction in passed:
            if await self._settle_if_found(transaction):
                continue
            transaction.lookups += 1
            if transaction.lookups >= LOST_LOOKUPS:
                await self._give_up(transaction)
        left = [sent for sent in self._in_flight if sent.nonce > committed]
        refusals = [await self._broadcast(transaction) for transaction in left]
        expected = _EXPECTED.search(refusals[0] or "") if refusals and not passed else None
        if expected and int(expected[1]) < left[0].nonce:
            # The chain stands before where it stood when it took this: it was restored.
            await self._start_over()

    async def _start_over(self) -> None:
        while self._in_flight:
            await self._give_up(self._in_flight[0])
        self._nonce = None

    async def _give_up(self, transaction: Sent) -> None:
        """Sign anew what a transaction that can't come into a block any more had no effect on."""
        again = await self._settler.settle_by_record(transaction)
        self._in_flight.remove(transaction)
        log.warning("transaction %s is lost: %d to do again", transaction.tx_hash, again)

    def _refuse_unsent(self, error: NodeUnavailable) -> None:
        """Nothing of these has left: their callers may hear at once that the node is away."""
        for ticket in self._queue.clear():
            ticket.settle(error)
