"""The ceilings: what the node allows, asked for as directly as can be, and nothing else done."""

import asyncio
import time
from base64 import b64encode
from typing import Any

from xian_py import Wallet
from xian_py.transaction import PreparedTransaction, create_tx, prepare_transaction

from workflow_backend.chain import contract
from workflow_backend.chain.node import EVENT_PAGE, Node
from workflow_backend.chain.rpc import BATCH_LIMIT, Rpc

from .target import Target

CHI = 60_000
WINDOW = 100
"""Transactions under way at once: a sender may have 128."""

STEPS = ("ItemSubmitted", "ItemClaimed", "ItemCompleted")


async def items_per_second(target: Target, items: int) -> float:
    """Submit, claim and complete items by pre-signed batches, pipelined; return items a second."""
    wallet = Wallet(target.key)
    async with Rpc(target.node_url) as rpc:
        node = Node(rpc, target.contract)
        nonce = await node.next_nonce(wallet.public_key)
        prefix = f"{target.run}-ceiling"
        signed = [
            _sign(target, entries, number)
            for number, entries in enumerate(_batches(prefix, items), nonce)
        ]
        began = time.perf_counter()
        for start in range(0, len(signed), BATCH_LIMIT):
            while nonce + start - WINDOW > await node.committed_nonce(wallet.public_key):
                await asyncio.sleep(0.01)
            await _send(rpc, signed[start : start + BATCH_LIMIT])
        while await node.committed_nonce(wallet.public_key) < nonce + len(signed) - 1:
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - began
        await _require_completed(node, f"{prefix}-{items - 1}")
    return items / seconds


async def item_seconds(target: Target, items: int) -> list[float]:
    """Return the seconds of single items: pre-signed, each step once the one before is decided."""
    wallet = Wallet(target.key)
    times = []
    async with Rpc(target.node_url) as rpc:
        node = Node(rpc, target.contract)
        for number in range(items):
            item_id = f"{target.run}-alone-{number}"
            nonce = await node.next_nonce(wallet.public_key)
            signed = [
                _sign(target, entries, nonce + step)
                for step, entries in enumerate(_batches(item_id, 1))
            ]
            began = time.perf_counter()
            for step, transaction in enumerate(signed):
                await _send(rpc, [transaction])
                while await node.committed_nonce(wallet.public_key) < nonce + step:
                    await asyncio.sleep(0.002)
            times.append(time.perf_counter() - began)
            await _require_completed(node, f"{item_id}-0")
            await asyncio.sleep(0.2)  # the chain is idle again
    return times


async def events_per_second(target: Target) -> float:
    """Read all events of the benchmark's contract from the index; return events a second."""
    async with Rpc(target.node_url) as rpc:
        node = Node(rpc, target.contract)

        async def read(name: str) -> int:
            found, last = 0, 0
            while page := await node.events(name, last, EVENT_PAGE):
                found, last = found + len(page), page[-1].index_id
            return found

        began = time.perf_counter()
        found = sum(await asyncio.gather(*(read(name) for name in STEPS)))
        return found / (time.perf_counter() - began)


async def read_seconds(target: Target, item_id: str, reads: int) -> list[float]:
    """Return the seconds of reading one record from the node's state."""
    times = []
    async with Rpc(target.node_url) as rpc:
        node = Node(rpc, target.contract)
        for _ in range(reads):
            began = time.perf_counter()
            await node.item(item_id)
            times.append(time.perf_counter() - began)
    return times


def _sign(target: Target, entries: list[dict[str, Any]], nonce: int) -> PreparedTransaction:
    wallet = Wallet(target.key)
    payload = {
        "chain_id": target.chain_id,
        "contract": target.contract,
        "function": contract.BATCH_FUNCTION,
        "kwargs": {"batch": entries},
        "nonce": nonce,
        "chi_supplied": CHI,
        "sender": wallet.public_key,
    }
    return prepare_transaction(create_tx(payload, wallet))


async def _send(rpc: Rpc, signed: list[PreparedTransaction]) -> None:
    answers = await rpc.batch(
        [("broadcast_tx_sync", {"tx": b64encode(one.submitted_bytes).decode()}) for one in signed]
    )
    refused = [answer["log"] for answer in answers if answer["code"] != 0]
    if refused:
        raise RuntimeError(f"the node refused a transaction: {refused[0]}")


async def _require_completed(node: Node, item_id: str) -> None:
    item = await node.item(item_id)
    if item is None or item.status != "completed":
        raise RuntimeError(f"{item_id} is not completed")


def _batches(prefix: str, items: int) -> list[list[dict[str, Any]]]:
    ids = [f"{prefix}-{number}" for number in range(items)]
    steps: list[list[dict[str, Any]]] = [
        [
            {"action": "submit", "item_id": i, "payload_uri": f"https://example.org/{i}"}
            for i in ids
        ],
        [{"action": "claim", "item_id": i} for i in ids],
        [
            {"action": "complete", "item_id": i, "result_uri": f"https://example.org/{i}"}
            for i in ids
        ],
    ]
    size = contract.BATCH_ENTRIES
    return [step[n : n + size] for step in steps for n in range(0, items, size)]
