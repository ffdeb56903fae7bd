"""The contract's events once their blocks are committed for good, held to the history they follow.

Upstream hands a block to the index before the state changes, and its header does not tell when it
was committed: both are known once the next header is there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile

from ..errors import HistoryDiverged, IndexUnavailable
from ..items import START, Block, Event
from .blocks import Blocks
from .events import IDLE_SECONDS, Cursor, EventReader, Page
from .heads import Heads
from .node import Node


@dataclass(frozen=True, slots=True)
class CommittedPage:
    """Events in order, their blocks by height, and the cursor behind them.

    Nothing up to `height` is left behind the page, unless there is `more`. The node has taken in
    all blocks up to `committed` whose events there are.
    """

    events: list[Event]
    blocks: Mapping[int, Block]
    cursor: Cursor
    height: int
    committed: int
    more: bool


class CommittedEvents:
    """Reads events of several names as one stream, up to the newest block that is committed."""

    def __init__(self, node: Node, heads: Heads, names: Iterable[str]) -> None:
        self._blocks = Blocks(node, heads)
        self._heads = heads
        self._reader = EventReader(node, names)
        self._read: Page | None = None
        self._held: tuple[Cursor, Page] | None = None
        self._compared = -1

    async def page(self, cursor: Cursor) -> CommittedPage:
        """Return the next events behind a cursor.

        Raises HistoryDiverged where this chain has another block at the cursor's height, and
        IndexUnavailable where the index is below the cursor or blocks are missing.
        """
        was_held = self._held is not None and self._held[0].place == cursor.place
        read = self._held[1] if self._held and was_held else await self._reader.page(cursor)
        self._held, self._read = None, read
        if read.height < cursor.place.height:
            raise IndexUnavailable(
                f"the index is at height {read.height}, what was read from it before at "
                f"{cursor.place.height}: it was restored or is being rebuilt",
                hint="it is waited for; was the whole chain made anew, rebuild the projection",
            )
        blocks = await self._committed(cursor, read)
        cursor = self._compare(cursor, read, blocks)
        events = list(takewhile(lambda event: event.place.height in blocks, read.events))
        if len(events) == len(read.events):
            place = read.cursor.place
            known = blocks[place.height].hash if place != cursor.place else cursor.hash
            behind = replace(read.cursor, hash=known)
            more = read.more or was_held  # the index has gone on meanwhile
            committed = max(blocks, default=0) if more else read.height
            return CommittedPage(events, blocks, behind, read.height, committed, more)
        return self._hold(cursor, read, events, blocks)

    def _hold(
        self, cursor: Cursor, read: Page, events: list[Event], blocks: Mapping[int, Block]
    ) -> CommittedPage:
        """Return what is committed of a page, and keep the rest for the next one."""
        rest = read.events[len(events) :]
        missing = rest[0].place.height
        if read.height > missing + 1:  # it is no new block
            raise _lacks(missing)
        behind = cursor
        if events:
            place = events[-1].place
            seen = cursor.seen | {event.name: (event.index_id, event.place) for event in events}
            behind = Cursor(place, seen, blocks[place.height].hash)
        self._held = behind, replace(read, events=rest)
        height = rest[0].place.height - 1
        return CommittedPage(events, blocks, behind, height, height, more=False)

    async def _committed(self, cursor: Cursor, read: Page) -> dict[int, Block]:
        heights = {event.place.height for event in read.events}
        if cursor.place != START and (read.events or read.height != self._compared):
            heights.add(cursor.place.height)
        if read.more:  # many come: the newest is asked for, too, so that they are read once
            heights |= {read.height - 1, read.height}
        return await self._blocks.committed(heights)

    def _compare(self, cursor: Cursor, read: Page, blocks: Mapping[int, Block]) -> Cursor:
        """Return the cursor with the hash of its block; raises where it had another one."""
        if cursor.place == START or not (read.events or read.height != self._compared):
            return cursor
        height = cursor.place.height
        block = blocks.get(height)
        if block is None:
            if read.height > height + 1:
                raise _lacks(height)
            return cursor  # the next block will tell
        if cursor.hash not in {"", block.hash}:
            raise HistoryDiverged(
                f"block {height} is {block.hash[:12]} on this chain, what was read before is of "
                f"a history in which it is {cursor.hash[:12]}"
            )
        self._compared = read.height
        return replace(cursor, hash=block.hash)

    async def until_more(self, page: CommittedPage) -> None:
        """Wait until there is likely something behind a page."""
        height = page.height + 1
        if self._held is None and self._read is not None and not page.more:
            await self._reader.until_more(self._read, self._heads)
            height = self._heads.height
        if not page.more and height > page.height and height not in self._heads.blocks:
            await self._heads.wait_committed(IDLE_SECONDS)


def _lacks(height: int) -> IndexUnavailable:
    return IndexUnavailable(
        f"neither the node nor its index has the blocks {height} and {height + 1}",
        hint="bring the index up from a peer that has them",
    )
