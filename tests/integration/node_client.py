"""A client of a node's RPC that signs as the genesis' operator."""

import json
from base64 import b64decode, b64encode
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from processes import wait_until
from xian_py import Wallet
from xian_py.transaction import create_tx, prepare_transaction


class NodeClient:
    """Talks to a node: `url` is its RPC, `operator_key` (hex) holds the genesis supply."""

    url: str
    chain_id: str
    operator_key: str
    indexed = True

    def rpc(self, method: str, **params: Any) -> dict[str, Any]:
        """One JSON-RPC call; raises `OSError` while the node does not answer."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        request = Request(self.url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=30) as response:
                answer = json.load(response)
        except HTTPError as error:
            answer = json.load(error)
        if "error" in answer:
            raise OSError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def query(self, path: str) -> Any:
        """The JSON that the app answers an ABCI query with; None when it has nothing."""
        response = self.rpc("abci_query", path=path)["response"]
        if response["code"] != 0:
            raise OSError(f"{path}: {response['log']}")
        return json.loads(b64decode(response["value"])) if response.get("value") else None

    def broadcast(
        self,
        contract: str,
        function: str,
        arguments: dict[str, Any],
        *,
        wallet: Wallet | None = None,
        chi: int = 900_000,
    ) -> dict[str, Any]:
        """Sign (by default as the operator), send, wait for the block; give the app's receipt.

        Raises `OSError` when the node does not take the transaction.
        """
        wallet = wallet or Wallet(private_key=self.operator_key)
        transaction = create_tx(
            {
                "chain_id": self.chain_id,
                "contract": contract,
                "function": function,
                "kwargs": arguments,
                "nonce": self.query(f"/get_next_nonce/{wallet.public_key}"),
                "sender": wallet.public_key,
                "chi_supplied": chi,
            },
            wallet,
        )
        prepared = prepare_transaction(transaction)
        answer = self.rpc("broadcast_tx_commit", tx=b64encode(prepared.submitted_bytes).decode())
        if answer["check_tx"]["code"] != 0:
            raise OSError(answer["check_tx"]["log"])
        receipt: dict[str, Any] = json.loads(b64decode(answer["tx_result"]["data"]))
        return {**receipt, "hash": prepared.tx_hash, "height": int(answer["height"])}

    def deploy(self, name: str, source: str) -> None:
        """Put a contract on the chain; raises `OSError` with the chain's reason."""
        receipt = self.broadcast("submission", "submit_contract", {"name": name, "code": source})
        if receipt["status"] != 0:
            raise OSError(receipt["result"])

    def events(self, contract: str, event: str) -> list[dict[str, Any]]:
        """Up to 1,000 events of the index, oldest first."""
        found: list[dict[str, Any]] = self.query(
            f"/events/{contract}/{event}/limit=1000/after_id=0"
        )
        return found

    def height(self) -> int:
        """The height of the newest block."""
        return int(self.rpc("status")["sync_info"]["latest_block_height"])

    def index_level(self) -> bool:
        """Whether the index holds every block of the chain."""
        try:
            indexed = self.query("/bds_status")["indexed"]["indexed_height"]
            return bool(indexed == self.height())
        except OSError:
            return False

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until the node answers, has a block, and its index, if any, is level with it."""

        def ready() -> bool:
            try:
                return self.height() >= 1 and (not self.indexed or self.index_level())
            except OSError:
                return False

        wait_until(ready, seconds, f"node {self.chain_id} ready")
