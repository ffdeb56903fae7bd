"""Agents on the contract: with several APIs, each lets the others act on what it submitted."""

import logging

from ..chain.calls import call
from ..chain.node import Node
from ..chain.wallet import Account

log = logging.getLogger(__name__)


async def sync_agents(
    node: Node, account: Account, chain_id: str, wallets: tuple[str, ...]
) -> None:
    """Make exactly these other wallets the account's agents on the contract.

    Raises WorkflowError if the chain or the node refuses; changes made before that stay.
    """
    desired = set(wallets) - {account.address}
    current = set(await node.agents(account.address))
    for wallet in sorted(desired - current):
        await call(node, account, chain_id, "add_agent", {"account": wallet})
        log.info("%s may cancel and retry what this API submits", wallet)
    for wallet in sorted(current - desired):
        await call(node, account, chain_id, "remove_agent", {"account": wallet})
        log.info("%s may no longer cancel and retry what this API submits", wallet)
