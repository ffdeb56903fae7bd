"""The ceiling: batches signed beforehand, pipelined straight into the node, and nothing else."""

import asyncio
import time
from base64 import b64encode
from typing import Any

from xian_py import Wallet
from xian_py.transaction import create_tx, prepare_transaction

from workflow_backend.chain import contract
from workflow_backend.chain.node import Node
from workflow_backend.chain.rpc import BATCH_LIMIT, Rpc

from .target import Target

CHI = 60_000
WINDOW = 100
"""Transactions under way at once: a sender may have 128."""


async def items_per_second(target: Target, items: int) -> float:
    """Submit, claim and complete items of the benchmark's contract; return items a second."""
    wallet = Wallet(target.key)
    async with Rpc(target.node_url) as rpc:
        node = Node(rpc, target.contract)
        nonce = await node.next_nonce(wallet.public_key)
        signed = []
        for entries in _batches(f"{target.run}-ceiling", items):
            payload = {
                "chain_id": target.chain_id,
                "contract": target.contract,
                "function": contract.BATCH_FUNCTION,
                "kwargs": {"batch": entries},
                "nonce": nonce,
                "chi_supplied": CHI,
                "sender": wallet.public_key,
            }
            signed.append(prepare_transaction(create_tx(payload, wallet)))
            nonce += 1
        began = time.perf_counter()
        for start in range(0, len(signed), BATCH_LIMIT):
            group = signed[start : start + BATCH_LIMIT]
            while nonce - len(signed) + start - WINDOW > await node.committed_nonce(
                wallet.public_key
            ):
                await asyncio.sleep(0.01)
            answers = await rpc.batch(
                [
                    ("broadcast_tx_sync", {"tx": b64encode(one.submitted_bytes).decode()})
                    for one in group
                ]
            )
            refused = [answer["log"] for answer in answers if answer["code"] != 0]
            if refused:
                raise RuntimeError(f"the node refused a transaction: {refused[0]}")
        while await node.committed_nonce(wallet.public_key) < nonce - 1:
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - began
        last = await node.item(f"{target.run}-ceiling-{items - 1}")
        if last is None or last.status != "completed":
            raise RuntimeError("the ceiling's last item is not completed")
    return items / seconds


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
