"""Actions that wait for their outcome, and the transactions that carry them."""

import asyncio
import time
from dataclasses import dataclass, field

from xian_py.transaction import PreparedTransaction

from ..errors import WorkflowError
from ..items import Outcome
from .contract import Action


class PendingAction:
    """A client's action on a contract without an outcome yet.

    `tx_hash` is that of the transaction that carries it, once a node has accepted that one. It is
    None again while the action waits to be sent once more.
    """

    def __init__(self, action: Action, client: str = "", contract: str = "") -> None:
        self.action = action
        self.client = client
        self.contract = contract
        self.tx_hash: str | None = None
        self.future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    async def outcome(self) -> Outcome:
        """Wait for the outcome; raises WorkflowError if there can be none."""
        return await asyncio.shield(self.future)

    def settle(self, result: Outcome | WorkflowError) -> None:
        """Set the outcome or the error, unless there is one already."""
        if self.future.done():
            return
        if isinstance(result, Outcome):
            self.future.set_result(result)
        else:
            self.future.set_exception(result)
            self.future.exception()  # mark it as retrieved: there may be no waiter any more


@dataclass(slots=True)
class InFlightTransaction:
    """A signed transaction that was sent; `lookups` counts how often no block had it.

    All actions of its batch are on one contract.
    """

    nonce: int
    signed: PreparedTransaction
    batch: list[PendingAction]
    sent_at: float = field(default_factory=time.monotonic)
    lookups: int = 0

    @property
    def tx_hash(self) -> str:
        """The transaction's hash."""
        tx_hash: str = self.signed.tx_hash
        return tx_hash

    @property
    def contract(self) -> str:
        """The contract that it calls."""
        return self.batch[0].contract

    def mark_accepted(self) -> None:
        """Give the hash to all actions, once a node has accepted the transaction."""
        for pending_action in self.batch:
            pending_action.tx_hash = self.tx_hash

    def settle(self, error: WorkflowError) -> None:
        """Fail all actions."""
        for pending_action in self.batch:
            pending_action.settle(error)


def bisect(batch: list[PendingAction]) -> list[list[PendingAction]]:
    """Return both halves of a batch, or only one half if it has a single action."""
    middle = (len(batch) + 1) // 2
    return [half for half in (batch[:middle], batch[middle:]) if half]
