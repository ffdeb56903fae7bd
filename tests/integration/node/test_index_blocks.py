"""A real node's headers bind the transactions that an index has of its blocks."""

import hashlib
from base64 import b64decode

from node_harness import Node

from workflow_backend.chain.cometbft import CometBft
from workflow_backend.chain.rpc import Rpc
from workflow_backend.operations.snapshots.index_blocks import (
    KnownBlock,
    ask_blocks,
    choose_heights,
    data_hash,
)


async def test_header_has_the_root_over_its_transactions(node: Node) -> None:
    node.broadcast("currency", "transfer", {"amount": 1, "to": "ab" * 32})
    async with Rpc(node.url) as rpc:
        cometbft = CometBft(rpc)
        status = await cometbft.status()
        known = await ask_blocks(cometbft, choose_heights(status.base, status.height))
        assert len(known) == status.height - status.base + 1
        for height, found in known.items():
            answer = await rpc.call("block", height=str(height))
            raw = answer["block"]["data"]["txs"] or []
            hashes = [hashlib.sha256(b64decode(one)).hexdigest() for one in raw]
            block_hash = answer["block_id"]["hash"].lower()
            assert found == KnownBlock(block_hash, len(hashes), data_hash(hashes))
    assert any(block.transaction_count for block in known.values())
