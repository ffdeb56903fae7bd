"""Telling the chain of held items: an action is sent until the contract answers it."""

import asyncio
import logging
from collections.abc import Sequence

from ..chain import contract
from ..chain.contract_submitter import ContractSubmitter
from ..errors import NodeUnavailable, Overloaded, WorkflowError
from ..items import Item, Outcome
from ..outage_log import OutageLog

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
"""Between attempts while the wallet is short of funds or the node refuses the transaction."""


class Reporter:
    """Sends reports, releases and renewals.

    `problem` says why something could not be sent to the chain, `refusal` what the contract refuses
    for good; both are "" once the contract accepts an action again.
    """

    def __init__(self, submitter: ContractSubmitter) -> None:
        self._submitter = submitter
        self._outage = OutageLog("reports and renewals go through again")
        self.problem = self.refusal = ""

    async def send(self, action: contract.Action) -> Outcome:
        """Send an action until the contract answers: any other failure may pass."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                outcome = await self._submitter.submit(action)
            except WorkflowError as error:
                self.record_failure(error)
                await asyncio.sleep(pause)
                if not isinstance(error, NodeUnavailable | Overloaded):
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self._record_answer(action, outcome)
                if not outcome.ok:
                    log_refusal(action.item_id, action.name, outcome)
                return outcome

    async def renew(self, items: Sequence[Item]) -> list[Outcome | None]:
        """Renew the leases of items; return the contract's answers, None where there was none.

        The caller logs a refusal: one of an item that has ended meanwhile is no news.
        """
        renewals = [contract.renew(item) for item in items]
        answers = await asyncio.gather(
            *(self._submitter.submit(action) for action in renewals), return_exceptions=True
        )
        return [
            self._renewed(action, answer) for action, answer in zip(renewals, answers, strict=True)
        ]

    def _renewed(self, action: contract.Action, answer: Outcome | BaseException) -> Outcome | None:
        if isinstance(answer, Outcome):
            self._record_answer(action, answer)
            return answer
        if isinstance(answer, WorkflowError):
            self.record_failure(answer)
        else:
            log.error("item %s: lease not renewed: %r", action.item_id, answer)
        return None

    def record_failure(self, error: WorkflowError) -> None:
        """Note why something could not be sent to the chain."""
        self._outage.record_failure(error)
        self.problem = str(error)

    def _record_answer(self, action: contract.Action, outcome: Outcome) -> None:
        self._outage.record_success()
        if outcome.ok:
            self.problem = self.refusal = ""
        elif is_final(outcome):
            self.refusal = f"{action.name} of item {action.item_id}: {outcome.message}"


def log_refusal(item_id: str, action: str, outcome: Outcome) -> None:
    """Log that the contract refused an action on an item."""
    log.warning("item %s: %s refused: %s", item_id, action, outcome.message)


def is_final(outcome: Outcome) -> bool:
    """Tell whether the contract would refuse the action again, whatever becomes of the item."""
    return outcome.code in {"forbidden", "invalid"}
