"""The contract's operator, and the two steps in which the role is handed over.

Two, so that it can't go to an account that nobody has the key of: who is to have it takes it.
"""

from typing import Any

from ..errors import WorkflowError
from ..settings import Settings
from .operator_client import OperatorClient


class NotProposed(WorkflowError):
    """The role was offered to nobody, or to somebody else."""

    hint = "the present operator says: workflow-backend operator propose ACCOUNT"


async def propose(settings: Settings, account: str) -> dict[str, Any]:
    """Offer the role to an account, with the present operator's key.

    Returns `operator` and `proposed`, public keys, and whether anything `changed`. Raises
    WorkflowError where the key is another's, or the node can't be asked.
    """
    async with OperatorClient.open(settings) as client:
        operator, proposed = await client.node.operators()
        if account not in (operator, proposed):
            await client.call(
                "propose an operator",
                client.node.contract,
                "propose_operator",
                {"account": account},
            )
        return await _describe(client)


async def accept(settings: Settings) -> dict[str, Any]:
    """Take the role, with the key of the account that it was offered to; returns as `propose`.

    Raises NotProposed where it was not, and WorkflowError as `propose`.
    """
    async with OperatorClient.open(settings) as client:
        operator, proposed = await client.node.operators()
        if operator != client.address:
            if proposed != client.address:
                raise NotProposed(
                    f"{client.address} was not proposed, {proposed or 'nobody'} is: the operator "
                    f"stays {operator}"
                )
            await client.call("accept the role", client.node.contract, "accept_operator", {})
        return await _describe(client)


async def _describe(client: OperatorClient) -> dict[str, Any]:
    operator, proposed = await client.node.operators()
    return {"changed": client.changed, "operator": operator, "proposed": proposed}
