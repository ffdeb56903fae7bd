"""A chain of one wallet in memory, for tests that say what it does and when."""

import asyncio
import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Sequence
from dataclasses import MISSING, fields
from types import SimpleNamespace
from typing import Any

from xian_py import Wallet

from workflow_backend.chain import contract
from workflow_backend.chain.cometbft import CometBft
from workflow_backend.chain.contract import Action
from workflow_backend.errors import NodeRefused, NodeUnavailable
from workflow_backend.items import Item

KEY = Wallet().private_key
ADDRESS = Wallet(KEY).public_key


_FIELDS = [field.name for field in fields(Item) if field.default is MISSING]
"""Those of the contract's first version."""


def new(item_id: str) -> Action:
    return contract.submit(item_id, f"uri:{item_id}", "job", "")


class Chain:
    """A node with a block for each transaction, made when `block` is called.

    `refusals` are the node's answers to the next broadcasts, None where it takes them, `refuses` to
    all after them; `fails` says of a transaction in a block why it failed, and `answer` spoils its
    receipt. `rounds` counts how often it was asked how far a nonce is, `first` is the
    transaction that its index has for every item.
    """

    contract = "con_job_workflow"

    def __init__(self) -> None:
        self.rpc = self
        self.url = "http://node"
        self.cometbft = CometBft(self)  # type: ignore[arg-type]
        self.items_there: dict[str, dict[str, Any]] = {}
        self.mempool: dict[int, tuple[str, dict[str, Any]]] = {}
        self.blocks: dict[str, dict[str, Any]] = {}
        self.broadcasts: list[dict[str, Any]] = []
        self.nonce = 0
        self.refusals: list[str | None] = []
        self.fails: Callable[[dict[str, Any]], str | None] = lambda _: None
        self.answer: Callable[[dict[str, Any]], dict[str, Any]] = lambda receipt: receipt
        self.automatic = True
        self.refuses: str | None = None
        self.loses_answers = False
        self.rounds = 0
        self.first: str | None = None
        self.arrived = asyncio.Event()

    async def require(self, capabilities: Collection[str]) -> None:
        assert not capabilities

    async def next_nonce(self, _: str) -> int:
        return self.nonce + len(self.mempool)

    async def committed_nonce(self, _: str) -> int:
        self.rounds += 1
        return self.nonce - 1

    async def status(self) -> Any:
        return SimpleNamespace(height=self.nonce)

    async def indexed_height(self) -> int:
        return self.nonce

    async def submission(self, _: str) -> str | None:
        return self.first

    async def item(self, item_id: str) -> Item | None:
        return (await self.items([item_id]))[0]

    async def items(self, ids: Sequence[str]) -> list[Item | None]:
        found = [self.items_there.get(item_id) for item_id in ids]
        return [None if record is None else Item.from_record(record) for record in found]

    async def write(self, _: str, tx: str) -> dict[str, Any]:
        text = bytes.fromhex(b64decode(tx).decode())
        payload = json.loads(text)["payload"]
        self.broadcasts.append(payload)
        refusal = self.refusals.pop(0) if self.refusals else self.refuses
        if refusal is not None:
            return {"code": 1, "log": refusal}
        expected = await self.next_nonce("")
        if payload["nonce"] != expected and payload["nonce"] not in self.mempool:
            log = f"Transaction nonce is invalid. Expected {expected}, got {payload['nonce']}."
            return {"code": 1, "log": log}
        if self.loses_answers:
            raise NodeUnavailable("the answer is lost")
        tx_hash = hashlib.sha256(b64decode(tx)).hexdigest().upper()
        self.mempool[payload["nonce"]] = (tx_hash, payload)
        if self.automatic:
            self.block()
        else:
            self.arrived.set()
        return {"code": 0}

    async def call(self, _: str, hash: str) -> dict[str, Any]:  # noqa: A002
        tx_hash = b64decode(hash).hex().upper()
        if tx_hash not in self.blocks:
            raise NodeRefused("tx not found")
        return self.blocks[tx_hash]

    async def has_one(self) -> None:
        """Wait until a transaction lies in the mempool."""
        async with asyncio.timeout(20):
            await self.arrived.wait()

    def block(self) -> None:
        """Put what waits into blocks."""
        while self.nonce in self.mempool:
            tx_hash, payload = self.mempool.pop(self.nonce)
            self.nonce += 1
            self.blocks[tx_hash] = self._run(payload)

    def _run(self, payload: dict[str, Any]) -> dict[str, Any]:
        failure = self.fails(payload)
        if failure is not None:
            receipt: dict[str, Any] = {"result": failure, "chi_used": 1, "state": []}
            return self._found(1, receipt)
        answers, state = "", []
        for entry in payload["kwargs"]["batch"]:
            if entry["item_id"] in self.items_there:
                answers += "h0"
                continue
            record = dict.fromkeys(_FIELDS, "") | entry | {"requester": ADDRESS}
            record |= {"status": "submitted", "attempt": 0, "lease_seconds": 0}
            record |= dict.fromkeys(("created_at", "updated_at"), "2026-01-01 00:00:00")
            record["contested_at"] = None
            record = {name: record[name] for name in _FIELDS}
            self.items_there[entry["item_id"]] = record
            state.append({"key": f"con_job_workflow.items:{entry['item_id']}", "value": record})
            answers += "a0"
        receipt = {"result": repr(answers), "chi_used": 500, "state": state}
        return self._found(0, self.answer(receipt))

    def _found(self, code: int, receipt: dict[str, Any]) -> dict[str, Any]:
        data = b64encode(json.dumps(receipt).encode()).decode()
        return {"height": str(self.nonce), "tx_result": {"code": code, "data": data}}


class BlockSubscription:
    """No block is announced: all is found by looking."""

    async def wait(self, seconds: float) -> bool:
        await asyncio.sleep(min(seconds, 0.01))
        return False


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition; fails after 20 seconds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is not an event of ours
            await asyncio.sleep(0.001)
