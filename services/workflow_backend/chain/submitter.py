"""The submitter: batches actions into transactions, sends them, and settles their outcomes.

A full batch is sent at once, and so is a lone action while nothing is in flight. Otherwise a batch
gathers actions for a moment, because every transaction costs the node a fixed price.

One task owns the nonce and all transactions in flight. A transaction whose answer was lost, or
which a node lost with its mempool, is sent again as the same bytes and in nonce order, before any
new one. Its actions are signed again only if the chain's nonce has passed it, the chain does not
know its hash, and the items' records show no effect.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence

from xian_py.exception import XianException

from ..background import background
from ..errors import NodeUnavailable, NodeUnreachable, TransactionFailed
from ..items import Outcome
from ..watchdog import LoopWatchdog
from .block_subscription import BlockSubscription
from .chi import ChiBudget
from .contract import BATCH_FUNCTION, Action
from .node import Node
from .pending import InFlightTransaction, PendingAction
from .queue import ActionQueue
from .send_backoff import SendBackoff
from .settlement import TransactionSettler
from .transactions import Refusal, Transactions
from .wallet import Account

log = logging.getLogger(__name__)

MAX_WAITING = 10_000
MAX_IN_FLIGHT = 8
GATHER_SECONDS = 0.025
STALL_SECONDS = 2.0
"""Age of a transaction in flight at which it is looked into, and the pause between two looks."""

REFUSED_SECONDS = 60.0
"""Time after which a resend that the node keeps refusing is given up."""

LOST_LOOKUPS = 5
"""Lookups without a result after which a transaction whose nonce was passed counts as lost."""


class Submitter:
    """The only writer of one wallet; `transactions` counts those that got into a block.

    Its actions are on the contract of `node`, or of one of the `others`.
    """

    def __init__(
        self,
        node: Node,
        subscription: BlockSubscription,
        account: Account,
        chain_id: str,
        watchdog: LoopWatchdog | None = None,
        *,
        others: Sequence[Node] = (),
    ) -> None:
        self._node = node
        self._subscription = subscription
        self._transactions = Transactions(node, account, chain_id)
        self._watchdog = watchdog or LoopWatchdog("submitter")
        self._budget = ChiBudget()
        self._queue = ActionQueue(MAX_WAITING)
        nodes = {each.contract: each for each in (node, *others)}
        self._settler = TransactionSettler(nodes, account.address, self._queue, self._budget)
        self._in_flight: deque[InFlightTransaction] = deque()
        self._nonce: int | None = None
        self._sent_at = 0.0
        self._backoff = SendBackoff()
        self._resolve_from = 0.0
        self._refused_since: float | None = None
        self._is_mempool_lost = False
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.address = account.address
        self.transactions = 0

    @contextlib.asynccontextmanager
    async def running(self, drain_seconds: float = 10.0) -> AsyncIterator[Submitter]:
        """Submit in the background; at the end wait for all outcomes, up to a limit."""
        try:
            async with background(self._run(), "submitter"):
                yield self
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._idle.wait(), drain_seconds)
        finally:
            error = NodeUnavailable("this service is stopping", hint="ask again")
            self._refuse_unsent(error)
            for transaction in self._in_flight:
                transaction.settle(error)

    @property
    def waiting(self) -> int:
        """How many actions wait for a transaction."""
        return len(self._queue)

    @property
    def in_flight(self) -> int:
        """How many transactions are in flight."""
        return len(self._in_flight)

    def enqueue(self, action: Action, client: str = "", contract: str = "") -> PendingAction:
        """Queue a client's action; raises Overloaded if too many of its wait already."""
        pending_action = PendingAction(action, client, contract or self._node.contract)
        self._queue.add(pending_action)
        self._idle.clear()
        self._work.set()
        return pending_action

    def withdraw(self, pending_action: PendingAction) -> bool:
        """Remove an action that was not sent yet; return False if it may take effect."""
        return self._queue.withdraw(pending_action)

    async def submit(self, action: Action) -> Outcome:
        """Queue one action and return its outcome."""
        return await self.enqueue(action).outcome()

    async def _run(self) -> None:
        pause = 0.0
        while True:
            self._watchdog.beat()
            try:
                progress = await self._poll_in_flight() + await self._send_pending()
                pause = 0.0 if progress else min(0.1, pause * 2 or 0.005)
            except NodeUnavailable as error:
                self._refuse_unsent(error)
                pause = 1.0
            except Exception:
                # A bug must not leave every caller waiting in silence.
                log.exception("the submitter failed and continues")
                pause = 1.0
            if await self._wait_for_work(pause):
                pause = 0.0

    async def _wait_for_work(self, pause: float) -> bool:
        """Wait for work, a block or the end of the pause; return whether a block came."""
        if not self._in_flight and not self._queue:
            self._idle.set()
            self._work.clear()
            self._watchdog.idle()
            await self._work.wait()
            return False
        if self._queue and self._backoff.is_over:
            pause = min(pause, GATHER_SECONDS)
        return pause > 0 and await self._subscription.wait(pause)

    async def _send_pending(self) -> int:
        """Send batches that are full or have gathered long enough; return how many."""
        sent = 0
        while self._queue and len(self._in_flight) < MAX_IN_FLIGHT and self._backoff.is_over:
            if self._nonce is None:
                self._nonce = await self._node.next_nonce(self.address)
            since = time.monotonic() - self._sent_at
            batch = self._queue.next_batch(hold=since < GATHER_SECONDS * len(self._in_flight))
            if not batch:
                break
            if await self._send(batch, self._nonce):
                self._backoff.reset()
                sent += 1
            else:
                self._backoff.grow()
        return sent

    async def _send(self, batch: list[PendingAction], nonce: int) -> bool:
        """Send one transaction; return whether the next may follow at once."""
        actions = [pending_action.action for pending_action in batch]
        arguments = {"batch": [action.entry for action in actions]}
        chi = self._budget.supply(actions)
        try:
            signed = self._transactions.sign(
                batch[0].contract, BATCH_FUNCTION, arguments, nonce, chi
            )
        except XianException as error:
            failure = TransactionFailed(f"the transaction can't be signed: {error}")
            self._settler.bisect(batch, failure)
            return True
        transaction = InFlightTransaction(nonce, signed, batch)
        # From here on the node may have it, even without an answer: it counts as sent.
        self._in_flight.append(transaction)
        self._sent_at = transaction.sent_at
        self._nonce = nonce + 1
        try:
            refusal = await self._broadcast(transaction)
        except NodeUnreachable:
            self._queue.requeue(self._undo_send())
            raise
        return refusal is None or self._handle_refusal(self._undo_send(), refusal)

    def _undo_send(self) -> list[PendingAction]:
        """Forget the last transaction, which the node certainly does not have."""
        transaction = self._in_flight.pop()
        self._nonce = transaction.nonce
        return transaction.batch

    async def _broadcast(self, transaction: InFlightTransaction) -> Refusal | None:
        self._watchdog.beat()
        refusal = await self._transactions.broadcast(transaction.signed)
        if refusal is None:
            transaction.mark_accepted()
        return refusal

    def _handle_refusal(self, batch: list[PendingAction], refusal: Refusal) -> bool:
        """Requeue or fail what the node refused: it took no effect and its nonce is free."""
        if refusal.is_final:
            error = TransactionFailed(f"the node refuses the transaction: {refusal}")
            self._settler.bisect(batch, error)
            return True
        self._queue.requeue(batch)
        expected = refusal.expected_nonce
        if expected is None:
            log.debug("waiting for a block: %s", refusal)
            return False
        if self._in_flight and expected <= self._in_flight[-1].nonce:
            # A restart empties the node's mempool. Lost transactions keep their nonces: another one
            # with the same nonce would block those after it.
            self._is_mempool_lost = True
            return False
        log.info("nonce %s is not the next one: using %s", self._nonce, expected)
        self._nonce = expected
        return True

    async def _poll_in_flight(self) -> int:
        """Settle transactions that are in a block, and resolve those that should be."""
        settled = 0
        for transaction in list(self._in_flight):
            self._watchdog.beat()
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

    async def _settle_if_found(self, transaction: InFlightTransaction) -> bool:
        found = await self._transactions.lookup(transaction.tx_hash)
        if found is None:
            return False
        await self._settler.settle(transaction, found)
        self.transactions += 1
        self._in_flight.remove(transaction)
        self._backoff.reset()  # a block has made room
        self._refused_since = None
        return True

    async def _resolve_stalled(self) -> None:
        """Settle, resend or give up each transaction in flight."""
        committed = await self._node.committed_nonce(self.address)
        passed = [sent for sent in self._in_flight if sent.nonce <= committed]
        pause = STALL_SECONDS / 2 if passed else STALL_SECONDS  # the index of blocks may lag
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
        refusal = refusals[0] if refusals and not passed else None
        if refusal is not None and refusal.is_final:
            await self._back_off_resends(left[0], refusal)
        else:
            self._refused_since = None
        expected = refusal.expected_nonce if refusal else None
        if expected is not None and expected < left[0].nonce:
            # The chain is at an earlier height than when it took this: it was restored.
            await self._start_over()

    async def _back_off_resends(self, transaction: InFlightTransaction, refusal: Refusal) -> None:
        """Wait longer before each resend of what the node lost and now refuses, then give it up.

        Nothing later can get in before its nonce is used. Another node may still have it, so it is
        not failed at once: the transaction that replaces it has the same nonce.
        """
        now = time.monotonic()
        if self._refused_since is None:
            log.warning("the node lost %s and refuses it now: %s", transaction.tx_hash, refusal)
            self._refused_since = now
        refused = now - self._refused_since
        if refused >= REFUSED_SECONDS:
            self._refused_since = None
            self._backoff.reset()
            await self._start_over()
        else:
            self._resolve_from = now + max(STALL_SECONDS, refused)
            self._backoff.hold_until(self._resolve_from)

    async def _start_over(self) -> None:
        while self._in_flight:
            await self._give_up(self._in_flight[0])
        self._nonce = None

    async def _give_up(self, transaction: InFlightTransaction) -> None:
        """Requeue the actions of a lost transaction that took no effect, and settle the others."""
        requeued = await self._settler.reconcile_from_chain(transaction)
        self._in_flight.remove(transaction)
        log.warning("transaction %s is lost: %d actions requeued", transaction.tx_hash, requeued)

    def _refuse_unsent(self, error: NodeUnavailable) -> None:
        """Fail what was not sent: its callers need not wait for a node that is away."""
        for pending_action in self._queue.clear():
            pending_action.settle(error)
