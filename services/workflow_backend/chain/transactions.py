"""Transactions of one account: signing, broadcasting and looking them up in blocks."""

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from xian_py.transaction import PreparedTransaction

from ..errors import NodeRefused, NodeUnavailable
from .cometbft_answers import CommittedTransaction
from .node import Node
from .wallet import Account

_EXPECTED_NONCE = re.compile(r"nonce is invalid\. Expected (\d+)")
_MEMPOOL_FULL = re.compile("Too many pending|mempool is full")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason for which a node does not take a transaction."""

    reason: str

    def __str__(self) -> str:
        return self.reason

    @property
    def expected_nonce(self) -> int | None:
        """The nonce that the node expects instead, None where the nonce is right."""
        match = _EXPECTED_NONCE.search(self.reason)
        return int(match[1]) if match else None

    @property
    def is_final(self) -> bool:
        """Whether neither another nonce nor room in the mempool would help."""
        return self.expected_nonce is None and not _MEMPOOL_FULL.search(self.reason)


class Transactions:
    """Signs, broadcasts and looks up one account's transactions."""

    def __init__(self, node: Node, account: Account, chain_id: str) -> None:
        self._node = node
        self._account = account
        self._chain_id = chain_id

    def sign(
        self, contract: str, function: str, arguments: dict[str, Any], nonce: int, chi: int
    ) -> PreparedTransaction:
        """Return the signed bytes of a call and their hash; raises XianException."""
        return self._account.sign(
            {
                "chain_id": self._chain_id,
                "contract": contract,
                "function": function,
                "kwargs": arguments,
                "nonce": nonce,
                "chi_supplied": chi,
            }
        )

    async def broadcast(self, signed: PreparedTransaction) -> Refusal | None:
        """Send the bytes to the node; return its refusal, None if it has them.

        Raises NodeUnreachable if it certainly does not have them, NodeUnavailable if that is
        unknown.
        """
        encoded = b64encode(signed.submitted_bytes).decode()
        try:
            answer = await self._node.cometbft.broadcast(encoded)
        except NodeRefused as error:
            if "already exists" in str(error):
                return None
            return Refusal(str(error))
        return Refusal(str(answer.log)) if answer.code != 0 else None

    async def lookup(self, tx_hash: str) -> CommittedTransaction | None:
        """Return a transaction that is in a block, None if none has it; raises NodeUnavailable."""
        encoded = b64encode(bytes.fromhex(tx_hash)).decode()
        try:
            return await self._node.cometbft.transaction(encoded)
        except NodeRefused as error:
            if "not found" in str(error):
                return None
            raise NodeUnavailable(str(error), hint="") from error
