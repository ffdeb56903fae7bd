"""The contract's events up to the newest committed block, checked against the history read before.

Upstream indexes a block before its state changes are committed, and a block's header does not tell
when it was committed. Both are settled once the next header is known.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile

from ..errors import HistoryDiverged, IndexUnavailable
from ..items import START, Block, Event
from .block_subscription import BlockSubscription
from .blocks import Blocks
from .events import IDLE_SECONDS, Cursor, EventReader, Page
from .node import Node


@dataclass(frozen=True, slots=True)
class CommittedPage:
    """Events in order, their blocks by height, and the cursor after them.

    The page is complete up to `height`, unless there are `more`. The node has committed all blocks
    up to `committed`.
    """

    events: list[Event]
    blocks: Mapping[int, Block]
    cursor: Cursor
    height: int
    committed: int
    more: bool


class CommittedEventReader:
    """Reads events of several names as one stream, up to the newest block that is committed."""

    def __init__(self, node: Node, subscription: BlockSubscription, names: Iterable[str]) -> None:
        self._blocks = Blocks(node, subscription)
        self._subscription = subscription
        self._reader = EventReader(node, names)
        self._read: Page | None = None
        self._held: tuple[Cursor, Page] | None = None
        self._compared = -1

    async def page(self, cursor: Cursor) -> CommittedPage:
        """Return the next events after a cursor.

        Raises HistoryDiverged if this chain has another block at the cursor's height, and
        IndexUnavailable if the index is below the cursor or blocks are missing.
        """
        was_held = self._held is not None and self._held[0].position == cursor.position
        read = self._held[1] if self._held and was_held else await self._reader.page(cursor)
        self._held, self._read = None, read
        if read.height < cursor.position.height:
            raise IndexUnavailable(
                f"the index is at height {read.height}, what was read from it before at "
                f"{cursor.position.height}: it was restored or is being rebuilt",
                hint="wait for the index; if the chain was recreated, rebuild the projection",
            )
        blocks = await self._committed(cursor, read)
        cursor = self._compare(cursor, read, blocks)
        events = list(takewhile(lambda event: event.position.height in blocks, read.events))
        if len(events) == len(read.events):
            position = read.cursor.position
            known = blocks[position.height].hash if position != cursor.position else cursor.hash
            next_cursor = replace(read.cursor, hash=known)
            more = read.more or was_held  # the index has advanced meanwhile
            committed = max(blocks, default=0) if more else read.height
            return CommittedPage(events, blocks, next_cursor, read.height, committed, more)
        return self._hold(cursor, read, events, blocks)

    def _hold(
        self, cursor: Cursor, read: Page, events: list[Event], blocks: Mapping[int, Block]
    ) -> CommittedPage:
        """Return the committed part of a page, and keep the rest for the next one."""
        remainder = read.events[len(events) :]
        missing = remainder[0].position.height
        if read.height > missing + 1:  # it is not just the newest block
            raise _lacks(missing)
        next_cursor = cursor
        if events:
            position = events[-1].position
            seen = cursor.seen | {event.name: (event.index_id, event.position) for event in events}
            next_cursor = Cursor(position, seen, blocks[position.height].hash)
        self._held = next_cursor, replace(read, events=remainder)
        height = remainder[0].position.height - 1
        return CommittedPage(events, blocks, next_cursor, height, height, more=False)

    async def _committed(self, cursor: Cursor, read: Page) -> dict[int, Block]:
        heights = {event.position.height for event in read.events}
        if cursor.position != START and (read.events or read.height != self._compared):
            heights.add(cursor.position.height)
        if read.more:  # the newest blocks are requested with them, in one call
            heights |= {read.height - 1, read.height}
        return await self._blocks.committed(heights)

    def _compare(self, cursor: Cursor, read: Page, blocks: Mapping[int, Block]) -> Cursor:
        """Return the cursor with its block's hash; raises HistoryDiverged if it had another one."""
        if cursor.position == START or not (read.events or read.height != self._compared):
            return cursor
        height = cursor.position.height
        block = blocks.get(height)
        if block is None:
            if read.height > height + 1:
                raise _lacks(height)
            return cursor  # the next block settles it
        if cursor.hash not in {"", block.hash}:
            raise HistoryDiverged(
                f"block {height} is {block.hash[:12]} on this chain, what was read before is of "
                f"a history in which it is {cursor.hash[:12]}"
            )
        self._compared = read.height
        return replace(cursor, hash=block.hash)

    async def wait_for_more(self, page: CommittedPage) -> None:
        """Wait until there is probably something after a page."""
        height = page.height + 1
        if self._held is None and self._read is not None and not page.more:
            await self._reader.wait_for_more(self._read, self._subscription)
            height = self._subscription.height
        if not page.more and height > page.height and height not in self._subscription.blocks:
            await self._subscription.wait_committed(IDLE_SECONDS)


def _lacks(height: int) -> IndexUnavailable:
    return IndexUnavailable(
        f"neither the node nor its index has the blocks {height} and {height + 1}",
        hint="bring the index up from a peer that has them",
    )
