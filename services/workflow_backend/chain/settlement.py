"""Settlement of transactions: each action gets its outcome or goes back into the queue."""

import logging
from collections.abc import Mapping

from ..errors import ForeignRecord, TransactionFailed
from ..items import Outcome
from .answers import expected_outcome, outcomes
from .chi import ChiBudget
from .cometbft_answers import CommittedTransaction
from .node import Node
from .pending import InFlightTransaction, PendingAction, bisect
from .queue import ActionQueue

log = logging.getLogger(__name__)


class TransactionSettler:
    """Settles the pending actions of one account's transactions.

    `nodes` read the records of each contract.
    """

    def __init__(
        self, nodes: Mapping[str, Node], account: str, queue: ActionQueue, budget: ChiBudget
    ) -> None:
        self._nodes = nodes
        self._account = account
        self._queue = queue
        self._budget = budget

    async def settle(self, transaction: InFlightTransaction, found: CommittedTransaction) -> None:
        """Settle the actions of a transaction that is in a block; raises NodeUnavailable."""
        try:
            await self._settle(transaction, found)
        except (LookupError, TypeError, ValueError, ForeignRecord) as error:
            # It is in a block: reading it again would not help.
            log.exception("transaction %s can't be read", transaction.tx_hash)
            reason = f"what the chain answered can't be read: {error!r}"
            transaction.settle(TransactionFailed(reason))

    async def _settle(self, transaction: InFlightTransaction, found: CommittedTransaction) -> None:
        batch, tx_hash = transaction.batch, transaction.tx_hash
        actions = [pending_action.action for pending_action in batch]
        receipt, failure = found.receipt, found.failure
        if failure is not None:
            if "chi" in failure.lower() and self._budget.record_exhaustion(actions):
                self._queue.requeue(batch)
            else:
                self.bisect(batch, TransactionFailed(f"transaction {tx_hash} failed: {failure}"))
            return
        self._budget.record_usage(actions, int(receipt["chi_used"]))
        decided = outcomes(actions, receipt, tx_hash, found.height)
        if decided is None:
            await self.reconcile_from_chain(transaction)
            return
        for pending_action, outcome in zip(batch, decided, strict=True):
            pending_action.settle(outcome)

    def bisect(self, batch: list[PendingAction], error: TransactionFailed) -> None:
        """Split a batch that failed to isolate the bad entry; a single action gets the error."""
        if len(batch) == 1:
            batch[0].settle(error)
            return
        for half in reversed(bisect(batch)):
            self._queue.requeue(half)

    async def reconcile_from_chain(self, transaction: InFlightTransaction) -> int:
        """Settle actions whose answers are lost by the items' records, and requeue the others.

        Returns the number of requeued actions; raises NodeUnavailable. The transaction must not be
        able to take effect later: it is in a block, the chain's nonce has passed it, or another
        transaction will have its nonce.
        """
        ids = [pending_action.action.item_id for pending_action in transaction.batch]
        requeued = []
        try:
            items = await self._nodes[transaction.contract].items(ids)
        except ForeignRecord as error:  # reading them again would not help
            transaction.settle(error)
            return 0
        for pending_action, item in zip(transaction.batch, items, strict=True):
            answer = expected_outcome(pending_action.action, item, self._account)
            if answer is None:
                requeued.append(pending_action)
                continue
            code, message = answer
            pending_action.settle(
                Outcome(
                    item_id=pending_action.action.item_id,
                    code=code,
                    message=message,
                    attempt=item.attempt if item else 0,
                    item=item if code == "ok" else None,
                    tx_hash=transaction.tx_hash,
                    height=0,
                )
            )
        if requeued:
            self._queue.requeue(requeued)
        return len(requeued)
