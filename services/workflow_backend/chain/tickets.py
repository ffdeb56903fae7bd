"""What waits for the chain's decision, and the transaction that carries it."""

import asyncio
import time
from dataclasses import dataclass, field

from xian_py.transaction import PreparedTransaction

from ..errors import WorkflowError
from ..items import Outcome
from .contract import Action


class Ticket:
    """A place in the queue, for a client's action.

    `tx_hash` names the transaction that carries it once a node has taken that, and is None again
    where the action has to be sent anew.
    """

    def __init__(self, action: Action, client: str = "") -> None:
        self.action = action
        self.client = client
        self.tx_hash: str | None = None
        self.future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    async def outcome(self) -> Outcome:
        """Wait for the chain's decision; raises WorkflowError where there can be none."""
        return await asyncio.shield(self.future)

    def settle(self, result: Outcome | WorkflowError) -> None:
        """Hand the result to whoever waits."""
        if self.future.done():
            return
        if isinstance(result, Outcome):
            self.future.set_result(result)
        else:
            self.future.set_exception(result)
            self.future.exception()  # nobody may be waiting any more: that is no error of ours


@dataclass(slots=True)
class Sent:
    """A signed transaction on its way; `lookups` counts how often it was looked for in vain."""

    nonce: int
    signed: PreparedTransaction
    tickets: list[Ticket]
    sent_at: float = field(default_factory=time.monotonic)
    lookups: int = 0

    @property
    def tx_hash(self) -> str:
        """The transaction's hash."""
        tx_hash: str = self.signed.tx_hash
        return tx_hash

    def is_taken(self) -> None:
        """Tell everybody that a node has it."""
        for ticket in self.tickets:
            ticket.tx_hash = self.tx_hash

    def settle(self, error: WorkflowError) -> None:
        """Tell everybody that there can be no outcome."""
        for ticket in self.tickets:
            ticket.settle(error)


def bisect(tickets: list[Ticket]) -> list[list[Ticket]]:
    """Return the tickets in two groups, the second left out where there is one ticket."""
    middle = (len(tickets) + 1) // 2
    return [half for half in (tickets[:middle], tickets[middle:]) if half]
