"""The projector: events of the index in, a page and its items' records into the store at once.

Three things go on side by side: a page is read, the items of the page before it are read, and the
page before that is written. Only the writing decides how far the projection is. Beside them, events
of an earlier release are given what it did not read.

An item's record tells all that its events did up to the block that the node had taken in: where the
index is behind, or the projector makes up for a long time, an item with events in several pages is
read once.
"""

import asyncio
import logging
from collections.abc import Callable
from itertools import islice

from ..chain.blocks import Blocks
from ..chain.committed import CommittedEvents, CommittedPage
from ..chain.contract import ITEM_EVENTS
from ..chain.heads import Heads
from ..chain.node import Node
from ..errors import IndexUnavailable, ProjectionMoved
from ..items import Item, Place
from ..pulse import Pulse
from ..store.base import Change, WritableStore

log = logging.getLogger(__name__)

REMEMBERED = 50_000
"""Items of which the projector knows which block the record has that it read last."""

type _Pages = asyncio.Queue[tuple[Place, CommittedPage] | None]
type _Changes = asyncio.Queue[Change | None]


class Projector:
    """Keeps one store level with the index. `applied` is called with each change in the store.

    `watch` makes the pulses of its loops.
    """

    def __init__(
        self,
        node: Node,
        store: WritableStore,
        heads: Heads,
        applied: Callable[[Change], None],
        watch: Callable[[str], Pulse] = Pulse,
    ) -> None:
        self._reading, self._loading, self._writing = (
            watch(f"the {name} of pages") for name in ("reading", "loading", "writing")
        )
        self._completing = watch("the completion of earlier events")
        self._node = node
        self._store = store
        self._heads = heads
        self._applied = applied
        self._blocks = Blocks(node, heads)
        self._reader = CommittedEvents(node, heads, ITEM_EVENTS)
        self._read_at: dict[str, int] = {}

    async def run(self, *, until_level: bool = False) -> None:
        """Project from the store's cursor on, until it is level with the index or for ever.

        Raises an ExceptionGroup with what went wrong; each page is in the store as a whole or not
        at all. A run after it begins where the store then is.
        """
        read: _Pages = asyncio.Queue(maxsize=1)
        loaded: _Changes = asyncio.Queue(maxsize=1)
        self._read_at.clear()  # what was read may not have been written
        for pulse in (self._reading, self._loading, self._writing, self._completing):
            pulse.rest()  # the run before this may have ended in the midst of a turn
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(read, until_level), name="read")
            tasks.create_task(self._load(read, loaded), name="load")
            tasks.create_task(self._write(loaded), name="write")
            tasks.create_task(self._complete(), name="complete")

    async def _complete(self) -> None:
        """Give events their blocks that an earlier release took in without them.

        That takes minutes where there are millions of them, and what is new does not wait for it.
        """
        while places := await self._store.without_blocks():
            self._completing()
            log.info("the blocks of events from %s on are read", places[0])
            blocks = await self._blocks.committed({place.height for place in places})
            await self._store.add_blocks(places, blocks)
        self._completing.rest()

    async def _read(self, read: _Pages, until_level: bool) -> None:
        cursor = await self._store.cursor()
        height = -1
        while True:
            self._reading()
            page = await self._reader.page(cursor)
            if page.events or _height(page) != height:
                await read.put((cursor.place, page))
            cursor, height = page.cursor, _height(page)
            if until_level and not page.more:
                await read.put(None)
                return
            await self._reader.until_more(page)

    async def _load(self, read: _Pages, loaded: _Changes) -> None:
        while (found := await _taken(read, self._loading)) is not None:
            since, page = found
            items = await self._records(page)
            change = Change(since, page.events, items, page.cursor, _height(page), page.blocks)
            await loaded.put(change)
        await loaded.put(None)

    async def _records(self, page: CommittedPage) -> list[Item]:
        heights = {event.item_id: event.place.height for event in page.events if event.item_id}
        ids = [
            item_id for item_id, height in heights.items() if height > self._read_at.get(item_id, 0)
        ]
        if not ids:
            return []
        known = max(page.committed, self._heads.height)
        records = await self._node.items(ids)
        missing = [item_id for item_id, item in zip(ids, records, strict=True) if item is None]
        if missing:
            raise IndexUnavailable(
                f"the index tells of items that the chain does not have, {missing[0]} first",
                hint="the index belongs to another state: rebuild it or the node",
            )
        self._remember(ids, known)
        return [item for item in records if item is not None]

    def _remember(self, ids: list[str], height: int) -> None:
        for item_id in ids:
            self._read_at.pop(item_id, None)  # the one that was read last goes last
            self._read_at[item_id] = height
        for item_id in list(islice(self._read_at, max(0, len(self._read_at) - REMEMBERED))):
            del self._read_at[item_id]

    async def _write(self, loaded: _Changes) -> None:
        while (change := await _taken(loaded, self._writing)) is not None:
            if not await self._store.apply(change):
                # The records that were read for it are in no row: another's may be older.
                raise ProjectionMoved(f"another process took in what follows {change.since}")
            self._applied(change)


async def _taken[T](queue: asyncio.Queue[T], pulse: Pulse) -> T:
    pulse.rest()
    found = await queue.get()
    pulse()
    return found


def _height(page: CommittedPage) -> int:
    """Return the height up to which nothing is left behind a page."""
    return page.cursor.place.height - 1 if page.more else page.height
