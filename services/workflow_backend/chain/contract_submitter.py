"""What submits actions on one of the contracts that a wallet's submitter writes to."""

from ..items import Outcome
from .contract import Action
from .pending import PendingAction
from .submitter import Submitter


class ContractSubmitter:
    """The wallet's submitter, for one contract."""

    def __init__(self, submitter: Submitter, contract: str) -> None:
        self._submitter = submitter
        self._contract = contract
        self.address = submitter.address

    def enqueue(self, action: Action) -> PendingAction:
        """Queue an action; raises Overloaded if too many wait already."""
        return self._submitter.enqueue(action, contract=self._contract)

    async def submit(self, action: Action) -> Outcome:
        """Queue one action and return its outcome."""
        return await self.enqueue(action).outcome()
