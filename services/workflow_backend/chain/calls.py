"""A single call of the contract, for what a service sends before its submitter runs."""

import asyncio
import time
from typing import Any

from ..errors import NodeUnavailable, TransactionFailed
from .node import Node
from .transactions import Transactions
from .wallet import Account

CHI = 2_000
"""Chi to supply: ten times what the contract's small functions use."""

BLOCK_SECONDS = 30.0
POLL_SECONDS = 0.05


async def call(
    node: Node, account: Account, chain_id: str, function: str, arguments: dict[str, Any]
) -> None:
    """Call a function of the contract and wait until the transaction is in a block.

    Raises TransactionFailed if the chain refuses it, and NodeUnavailable if its outcome is unknown,
    so the call has to be idempotent.
    """
    transactions = Transactions(node, account, chain_id)
    nonce = await node.next_nonce(account.address)
    signed = transactions.sign(node.contract, function, arguments, nonce, CHI)
    refusal = await transactions.broadcast(signed)
    if refusal is not None:
        raise TransactionFailed(f"the node refuses {function}: {refusal}")
    deadline = time.monotonic() + BLOCK_SECONDS
    while (found := await transactions.lookup(signed.tx_hash)) is None:
        if time.monotonic() > deadline:
            raise NodeUnavailable(
                f"transaction {signed.tx_hash} is in no block after {BLOCK_SECONDS:g} s",
                hint="see whether the chain makes blocks",
            )
        await asyncio.sleep(POLL_SECONDS)
    if found.failure is not None:
        raise TransactionFailed(f"{function} failed: {found.failure}")
