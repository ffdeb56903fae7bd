"""One account's transactions: signed, handed to the node, looked for in blocks."""

from base64 import b64decode, b64encode
from json import loads
from typing import Any

from xian_py.transaction import PreparedTransaction

from ..errors import NodeRefused, NodeUnavailable
from .node import Node
from .wallet import Account


class Transactions:
    """Those of one account on one contract."""

    def __init__(self, node: Node, account: Account, chain_id: str) -> None:
        self._node = node
        self._account = account
        self._chain_id = chain_id

    def sign(
        self, function: str, arguments: dict[str, Any], nonce: int, chi: int
    ) -> PreparedTransaction:
        """Return the exact bytes of a call and their hash; raises XianException."""
        return self._account.sign(
            {
                "chain_id": self._chain_id,
                "contract": self._node.contract,
                "function": function,
                "kwargs": arguments,
                "nonce": nonce,
                "chi_supplied": chi,
            }
        )

    async def broadcast(self, signed: PreparedTransaction) -> str | None:
        """Hand the bytes to the node; return why it refuses them, None where it has them.

        Raises NodeUnreachable where it surely has not, NodeUnavailable where that is unknown.
        """
        encoded = b64encode(signed.submitted_bytes).decode()
        try:
            answer = await self._node.rpc.write("broadcast_tx_sync", tx=encoded)
        except NodeRefused as error:
            if "already exists" in str(error):
                return None
            return str(error)
        return str(answer["log"]) if answer["code"] != 0 else None

    async def lookup(self, tx_hash: str) -> dict[str, Any] | None:
        """Return a transaction that is in a block; raises NodeUnavailable."""
        encoded = b64encode(bytes.fromhex(tx_hash)).decode()
        try:
            found: dict[str, Any] = await self._node.rpc.call("tx", hash=encoded)
        except NodeRefused as error:
            if "not found" in str(error):
                return None
            raise NodeUnavailable(str(error), hint="") from error
        return found


def receipt_of(found: dict[str, Any]) -> dict[str, Any]:
    """Return the app's receipt of a transaction that was looked up."""
    data = found["tx_result"].get("data")
    receipt: dict[str, Any] = loads(b64decode(data)) if data else {}
    return receipt


def failure_of(found: dict[str, Any]) -> str | None:
    """Return why a transaction that was looked up failed, None where it did not."""
    result = found["tx_result"]
    if result["code"] == 0:
        return None
    return str(receipt_of(found).get("result") or result.get("log") or "no reason given")
