"""The contract's operator, and the two steps in which the role is handed over.

Two, so that it can't go to an account that nobody has the key of: who is to have it takes it.
"""

from typing import Any

from ..errors import WorkflowError
from ..settings import Settings
from .sending import Sender


class NotProposed(WorkflowError):
    """The role was offered to nobody, or to somebody else."""

    hint = "the present operator says: workflow-backend operator propose ACCOUNT"


async def propose(settings: Settings, account: str) -> dict[str, Any]:
    """Offer the role to an account, with the present operator's key.

    Returns `operator` and `proposed`, public keys, and whether anything `changed`. Raises
    WorkflowError where the key is another's, or the node can't be asked.
    """
    async with Sender.open(settings) as sender:
        operator, proposed = await sender.node.operators()
        if account not in (operator, proposed):
            await sender.call(
                "propose an operator",
                sender.node.contract,
                "propose_operator",
                {"account": account},
            )
        return await _told(sender)


async def accept(settings: Settings) -> dict[str, Any]:
    """Take the role, with the key of the account that it was offered to; returns as `propose`.

    Raises NotProposed where it was not, and WorkflowError as `propose`.
    """
    async with Sender.open(settings) as sender:
        operator, proposed = await sender.node.operators()
        if operator != sender.address:
            if proposed != sender.address:
                raise NotProposed(
                    f"{sender.address} was not proposed, {proposed or 'nobody'} is: the operator "
                    f"stays {operator}"
                )
            await sender.call("accept the role", sender.node.contract, "accept_operator", {})
        return await _told(sender)


async def _told(sender: Sender) -> dict[str, Any]:
    operator, proposed = await sender.node.operators()
    return {"changed": sender.changed, "operator": operator, "proposed": proposed}
