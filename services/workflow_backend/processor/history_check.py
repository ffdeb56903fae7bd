"""Whether the chain still has the history whose events were read.

A chain that goes on from an older home, or was restored from a snapshot, has lost its newest blocks
and makes others in their place. Events of those would be taken for known ones.
"""

import logging
from dataclasses import replace

from ..chain.block_subscription import BlockSubscription
from ..chain.blocks import Blocks
from ..chain.events import Cursor
from ..chain.node import Node
from ..items import START

log = logging.getLogger(__name__)


class HistoryCheck:
    """Compares the block at a cursor with the chain's."""

    def __init__(self, node: Node, subscription: BlockSubscription) -> None:
        self._node = node
        self._subscription = subscription
        self._blocks = Blocks(node, subscription)

    async def is_gone(self, cursor: Cursor) -> bool | None:
        """Tell whether the chain has another history; None if that is not known yet.

        Raises WorkflowError.
        """
        height = cursor.position.height
        if cursor.position == START:
            return False
        status = await self._node.status()
        if status.height < height:
            if status.catching_up:
                return None
            log.warning(
                "the chain is at height %d, its events were read up to %d: it was restored",
                status.height,
                height,
            )
            return True
        block = (await self._blocks.committed({height})).get(height)
        if block is None:
            return None
        if cursor.hash in {"", block.hash}:
            return False
        log.warning(
            "block %d is %s on this chain, its events were read when it was %s: it was restored",
            height,
            block.hash[:12],
            cursor.hash[:12],
        )
        return True

    def with_hash(self, cursor: Cursor) -> Cursor:
        """Return the cursor with its block's hash, where that is known without asking."""
        block = self._subscription.blocks.get(cursor.position.height)
        return replace(cursor, hash=block.hash) if block is not None else cursor
