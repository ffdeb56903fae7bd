"""Blocks that are committed for good: when that was, and which ones they are.

The header of a block is made before its commit: its time, the contract's `now`, is when the block
before was committed, and that may be hours ago where no empty blocks are made. The header behind it
carries the time of its commit. Once that header is there, the node has also taken the block in.
"""

import statistics
from collections import OrderedDict
from collections.abc import Collection
from datetime import datetime

from .. import times
from ..errors import NodeRefused
from ..items import Block
from .headers import WINDOW, Header, headers
from .heads import Heads
from .node import Node

REMEMBERED = 10_000


class Blocks:
    """Tells of committed blocks by their heights, and by the contract's time of what is in them."""

    def __init__(self, node: Node, heads: Heads) -> None:
        self._node = node
        self._heads = heads
        self._committed_at: OrderedDict[str, str] = OrderedDict()

    async def committed(self, heights: Collection[int]) -> dict[int, Block]:
        """Return those of the blocks that are committed, by their heights.

        One that neither the node nor its index has any more is left out, too.
        """
        recent = self._heads.blocks
        found = {height: recent[height] for height in heights if height in recent}
        others = {height for height in heights if height not in found and height > 0}
        if not others:
            return found
        told = await headers(self._node, others | {height + 1 for height in others})
        for height in others:
            header, behind = told.get(height), told.get(height + 1)
            if header is not None and behind is not None:
                found[height] = Block(height, header.hash, header.time, behind.time)
        return found

    async def committed_at(self, contract_time: str) -> str:
        """Return when the block was committed in which the contract's `now` was this time.

        Both are RFC 3339. Of the newest block it is the middle of the votes that this node has
        seen: the next header settles it, which with several validators may change milliseconds.
        A block of which the node has no header has the contract's time.
        """
        for block in self._heads.blocks.values():
            if block.contract_time == contract_time:
                return block.time
        if contract_time not in self._committed_at:
            status = await self._node.status()
            header = await self._find(contract_time, status.base, status.height)
            if header is None:
                return contract_time
            behind = await headers(self._node, {header.height + 1})
            if header.height + 1 not in behind:
                return await self._voted_at(header)
            self._committed_at[contract_time] = behind[header.height + 1].time
            if len(self._committed_at) > REMEMBERED:
                self._committed_at.popitem(last=False)
        return self._committed_at[contract_time]

    async def _find(self, time: str, low: int, high: int) -> Header | None:
        """Find the header of a time by halving: times grow with the heights."""
        near = max(low, high - WINDOW + 1)  # what is asked for is new, as a rule
        newest = await headers(self._node, range(near, high + 1))
        if near in newest and newest[near].time <= time:
            return next((header for header in newest.values() if header.time == time), None)
        high = near - 1
        while low <= high:
            middle = (low + high) // 2
            header = (await headers(self._node, {middle})).get(middle)
            if header is None or header.time == time:
                return header
            if header.time < time:
                low = middle + 1
            else:
                high = middle - 1
        return None

    async def _voted_at(self, header: Header) -> str:
        try:
            answer = await self._node.rpc.call("commit", height=str(header.height))
            votes = [
                datetime.fromisoformat(vote["timestamp"])
                for vote in answer["signed_header"]["commit"]["signatures"]
                if vote["signature"]
            ]
            return times.rfc3339(statistics.median_low(votes))
        except NodeRefused, KeyError, TypeError, ValueError:
            return header.time  # there is no vote to be had: the header's time is not wrong
