"""One call by itself, for what a service says once, before its submitter runs."""

import asyncio
import time
from base64 import b64decode, b64encode
from json import loads
from typing import Any

from ..errors import NodeRefused, NodeUnavailable, TransactionFailed
from .node import Node
from .wallet import Account

CHI = 2_000
"""Ten times what the contract's small functions take."""

BLOCK_SECONDS = 30.0
POLL_SECONDS = 0.05


async def call(
    node: Node, account: Account, chain_id: str, function: str, arguments: dict[str, Any]
) -> None:
    """Call a function of the contract and wait for the block.

    Raises TransactionFailed where the chain refuses it, and NodeUnavailable where it can't be told
    what became of it: it is to be something that may be said twice.
    """
    signed = account.sign(
        {
            "chain_id": chain_id,
            "contract": node.contract,
            "function": function,
            "kwargs": arguments,
            "nonce": await node.next_nonce(account.address),
            "chi_supplied": CHI,
        }
    )
    try:
        encoded = b64encode(signed.submitted_bytes).decode()
        answer = await node.rpc.write("broadcast_tx_sync", tx=encoded)
    except NodeRefused as error:
        raise TransactionFailed(f"the node refuses {function}: {error}") from error
    if answer["code"] != 0:
        raise TransactionFailed(f"the node refuses {function}: {answer['log']}")
    result = await _result(node, signed.tx_hash)
    if result["code"] != 0:
        receipt = loads(b64decode(result["data"])) if result.get("data") else {}
        raise TransactionFailed(f"{function} failed: {receipt.get('result') or result.get('log')}")


async def _result(node: Node, tx_hash: str) -> dict[str, Any]:
    encoded = b64encode(bytes.fromhex(tx_hash)).decode()
    deadline = time.monotonic() + BLOCK_SECONDS
    while time.monotonic() < deadline:
        try:
            found: dict[str, Any] = (await node.rpc.call("tx", hash=encoded))["tx_result"]
        except NodeRefused as error:
            if "not found" not in str(error):
                raise NodeUnavailable(str(error), hint="") from error
            await asyncio.sleep(POLL_SECONDS)
        else:
            return found
    raise NodeUnavailable(
        f"transaction {tx_hash} is in no block after {BLOCK_SECONDS:g} s", hint="see its blocks"
    )
