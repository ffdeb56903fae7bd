"""What transactions came to: each action's outcome, and what goes into the queue again."""

import logging
from typing import Any

from ..errors import ForeignRecord, TransactionFailed
from ..items import Outcome
from .chi import ChiBudget
from .contract import effect, outcomes
from .node import Node
from .queue import ActionQueue
from .tickets import Sent, Ticket, bisect
from .transactions import failure_of, receipt_of

log = logging.getLogger(__name__)


class Settler:
    """Settles the tickets of one account's transactions."""

    def __init__(self, node: Node, account: str, queue: ActionQueue, budget: ChiBudget) -> None:
        self._node = node
        self._account = account
        self._queue = queue
        self._budget = budget

    async def settle(self, transaction: Sent, found: dict[str, Any]) -> None:
        """Hand out what a transaction in a block came to; raises NodeUnavailable."""
        try:
            await self._settle(transaction, found)
        except (LookupError, TypeError, ValueError, ForeignRecord) as error:
            # It is in a block, and will read no better the next time.
            log.exception("transaction %s can't be read", transaction.tx_hash)
            reason = f"what the chain answered can't be read: {error!r}"
            transaction.settle(TransactionFailed(reason))

    async def _settle(self, transaction: Sent, found: dict[str, Any]) -> None:
        tickets, tx_hash = transaction.tickets, transaction.tx_hash
        actions = [ticket.action for ticket in tickets]
        receipt = receipt_of(found)
        failure = failure_of(found)
        if failure is not None:
            if "chi" in failure.lower() and self._budget.exhausted(actions):
                self._queue.put_back(tickets)
            else:
                self.bisect(tickets, TransactionFailed(f"transaction {tx_hash} failed: {failure}"))
            return
        self._budget.learn(actions, int(receipt["chi_used"]))
        decided = outcomes(actions, receipt, tx_hash, int(found["height"]))
        if decided is None:
            await self.settle_by_record(transaction)
            return
        for ticket, outcome in zip(tickets, decided, strict=True):
            ticket.settle(outcome)

    def bisect(self, tickets: list[Ticket], error: TransactionFailed) -> None:
        """Isolate the entry that spoils a transaction; alone, it gets the error."""
        if len(tickets) == 1:
            tickets[0].settle(error)
            return
        for half in reversed(bisect(tickets)):
            self._queue.put_back(half)

    async def settle_by_record(self, transaction: Sent) -> int:
        """Settle by the items' records what had an effect, or can't have one any more.

        Returns how many actions had none and wait again; raises NodeUnavailable.
        The transaction must be one that can't come into a block any more: it is in one, the
        chain's nonce has passed it, or the chain was restored to before it.
        """
        ids = [ticket.action.item_id for ticket in transaction.tickets]
        again = []
        try:
            items = await self._node.items(ids)
        except ForeignRecord as error:  # they will read no better the next time
            transaction.settle(error)
            return 0
        for ticket, item in zip(transaction.tickets, items, strict=True):
            judged = effect(ticket.action, item, self._account)
            if judged is None:
                again.append(ticket)
                continue
            code, message = judged
            ticket.settle(
                Outcome(
                    item_id=ticket.action.item_id,
                    code=code,
                    message=message,
                    attempt=item.attempt if item else 0,
                    item=item if code == "ok" else None,
                    tx_hash=transaction.tx_hash,
                    height=0,
                )
            )
        if again:
            self._queue.put_back(again)
        return len(again)
