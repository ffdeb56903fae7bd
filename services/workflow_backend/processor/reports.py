"""What is told to the chain of items that this worker holds, until it is taken or refused."""

import asyncio
import logging

from ..chain import contract
from ..chain.submitter import Submitter
from ..errors import NodeUnavailable, Overloaded, WorkflowError
from ..items import Outcome
from ..outage import Outage

log = logging.getLogger(__name__)

TROUBLE_SECONDS = 1.0
LONGEST_SECONDS = 30.0
"""Between one word and the next while the wallet is short of funds or the node refuses it."""


class Reports:
    """Tells the chain.

    `problem` says why it did not hear of something, `refusal` what the contract refused for good;
    both are "" once it takes something again.
    """

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter
        self._outage = Outage("reports and renewals go through again")
        self.problem = self.refusal = ""

    async def tell(self, action: contract.Action) -> Outcome:
        """Tell until the contract answers: all else may pass, and the item is held meanwhile."""
        pause = TROUBLE_SECONDS
        while True:
            try:
                outcome = await self._submitter.submit(action)
            except WorkflowError as error:
                self.failed(error)
                await asyncio.sleep(pause)
                if not isinstance(error, NodeUnavailable | Overloaded):
                    pause = min(2 * pause, LONGEST_SECONDS)
            else:
                self.heard(action, outcome)
                return outcome

    def failed(self, error: WorkflowError) -> None:
        """Take in why the chain did not hear of something."""
        self._outage.failed(error)
        self.problem = str(error)

    def heard(self, action: contract.Action, outcome: Outcome) -> None:
        """Take in what the contract answered to an action on a held item."""
        self._outage.well()
        if outcome.ok:
            self.problem = self.refusal = ""
            return
        log.warning("item %s: %s refused: %s", action.item_id, action.name, outcome.message)
        if is_final(outcome):
            self.refusal = f"{action.name} of item {action.item_id}: {outcome.message}"


def is_final(outcome: Outcome) -> bool:
    """Tell whether the contract would refuse it again, whatever becomes of the item."""
    return outcome.code in {"forbidden", "invalid"}
