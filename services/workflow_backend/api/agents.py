"""Several APIs with a wallet each: every one lets the others cancel and retry what it submitted."""

import logging

from ..chain.calls import call
from ..chain.node import Node
from ..chain.wallet import Account

log = logging.getLogger(__name__)


async def name_agents(
    node: Node, account: Account, chain_id: str, wallets: tuple[str, ...]
) -> None:
    """Make the other wallets, and nobody else, agents of this account on the contract.

    Raises WorkflowError where chain or node refuse; what was said stays said.
    """
    wanted = set(wallets) - {account.address}
    found = set(await node.agents(account.address))
    for wallet in sorted(wanted - found):
        await call(node, account, chain_id, "add_agent", {"account": wallet})
        log.info("%s may cancel and retry what this API submits", wallet)
    for wallet in sorted(found - wanted):
        await call(node, account, chain_id, "remove_agent", {"account": wallet})
        log.info("%s may not cancel and retry what this API submits any more", wallet)
