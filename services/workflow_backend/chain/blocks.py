"""Committed blocks and the times of their commits.

A block's header is made before its commit. Its time, which is the contract's `now`, is when the
block before was committed; without empty blocks that may be hours ago. The next header has the time
of the commit. Once it exists, the node has also committed the block's state.
"""

import statistics
from collections import OrderedDict
from collections.abc import Collection
from datetime import datetime

from .. import times
from ..errors import NodeRefused
from ..items import Block
from .block_subscription import BlockSubscription
from .cometbft_answers import HEADERS_PAGE
from .headers import Header, fetch_headers
from .node import Node

REMEMBERED = 10_000
"""Times of commits that are cached."""


class Blocks:
    """Looks up committed blocks by height, and times of commits by the contract's time."""

    def __init__(self, node: Node, subscription: BlockSubscription) -> None:
        self._node = node
        self._subscription = subscription
        self._committed_at: OrderedDict[str, str] = OrderedDict()

    async def committed(self, heights: Collection[int]) -> dict[int, Block]:
        """Return the blocks of these heights that are committed, by height.

        Blocks that neither the node nor its index has are left out.
        """
        recent = self._subscription.blocks
        found = {height: recent[height] for height in heights if height in recent}
        others = {height for height in heights if height not in found and height > 0}
        if not others:
            return found
        answers = await fetch_headers(self._node, others | {height + 1 for height in others})
        for height in others:
            header, following = answers.get(height), answers.get(height + 1)
            if header is not None and following is not None:
                found[height] = Block(height, header.hash, header.time, following.time)
        return found

    async def committed_at(self, contract_time: str) -> str:
        """Return when the block was committed whose `now` in the contract was this time.

        Both are RFC 3339. For the newest block it is the median of the votes that this node has
        seen; with several validators the next header may differ by milliseconds. For a block whose
        header the node does not have it is the contract's time.
        """
        for block in self._subscription.blocks.values():
            if block.contract_time == contract_time:
                return block.time
        if contract_time not in self._committed_at:
            status = await self._node.status()
            header = await self._find(contract_time, status.base, status.height)
            if header is None:
                return contract_time
            following = await fetch_headers(self._node, {header.height + 1})
            if header.height + 1 not in following:
                return await self._median_vote_time(header)
            self._committed_at[contract_time] = following[header.height + 1].time
            if len(self._committed_at) > REMEMBERED:
                self._committed_at.popitem(last=False)
        return self._committed_at[contract_time]

    async def _find(self, time: str, low: int, high: int) -> Header | None:
        """Find the header of a time by bisection: times grow with the heights."""
        near = max(low, high - HEADERS_PAGE + 1)  # usually the block is recent
        newest = await fetch_headers(self._node, range(near, high + 1))
        if near in newest and newest[near].time <= time:
            return next((header for header in newest.values() if header.time == time), None)
        high = near - 1
        while low <= high:
            middle = (low + high) // 2
            header = (await fetch_headers(self._node, {middle})).get(middle)
            if header is None or header.time == time:
                return header
            if header.time < time:
                low = middle + 1
            else:
                high = middle - 1
        return None

    async def _median_vote_time(self, header: Header) -> str:
        try:
            commit = await self._node.cometbft.commit(header.height)
            votes = [datetime.fromisoformat(time) for time in commit.vote_times]
            return times.rfc3339(statistics.median_low(votes))
        except NodeRefused, ValueError:
            return header.time  # without votes, the header's time is close enough
