"""The projector: reads events from the index and writes each page with its items' records.

It is a pipeline of three stages: one reads a page, the next loads the items of the page before, the
last writes the page before that. Only what is written counts as progress. Beside it, a backfill
adds what an earlier release did not read.

A record contains the effects of all events up to the block that the node had executed. So an item
with events in several pages is read once if the projector is behind.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from ..chain.block_subscription import BlockSubscription
from ..chain.blocks import Blocks
from ..chain.committed_events import CommittedEventReader, CommittedPage
from ..chain.contract import ITEM_EVENTS
from ..chain.node import Node
from ..errors import IndexUnavailable, ProjectionMoved
from ..items import EventPosition, Item
from ..store.archived_items import restore_archived
from ..store.base import Change, WritableStore
from ..watchdog import LoopWatchdog

log = logging.getLogger(__name__)

REMEMBERED = 50_000
"""Items for which the projector remembers the block of the record that it read last."""

type _Pages = asyncio.Queue[tuple[EventPosition, CommittedPage] | None]
type _Changes = asyncio.Queue[Change | None]


class Projector:
    """Keeps one store up to date with the index; calls `applied` with each change in the store.

    `watch` creates the watchdogs of its loops.
    """

    def __init__(
        self,
        node: Node,
        store: WritableStore,
        subscription: BlockSubscription,
        applied: Callable[[Change], None],
        watch: Callable[[str], LoopWatchdog] = LoopWatchdog,
    ) -> None:
        self._reading, self._loading, self._writing = (
            watch(f"the {name} of pages") for name in ("reading", "loading", "writing")
        )
        self._backfilling = watch("the backfill of earlier events")
        self._node = node
        self._store = store
        self._subscription = subscription
        self._applied = applied
        self._blocks = Blocks(node, subscription)
        self._reader = CommittedEventReader(node, subscription, ITEM_EVENTS)
        self._read_at: dict[str, int] = {}

    async def run(self, *, until_caught_up: bool = False) -> None:
        """Project from the store's cursor on, for ever or until it has caught up with the index.

        Raises an ExceptionGroup of what failed. A page is in the store as a whole or not at all,
        and the next run starts at the store's cursor.
        """
        read: _Pages = asyncio.Queue(maxsize=1)
        loaded: _Changes = asyncio.Queue(maxsize=1)
        self._read_at.clear()  # what was read may not have been written
        for watchdog in (self._reading, self._loading, self._writing, self._backfilling):
            watchdog.idle()  # the run before may have ended within an iteration
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(read, until_caught_up), name="read")
            tasks.create_task(self._load(read, loaded), name="load")
            tasks.create_task(self._write(loaded), name="write")
            tasks.create_task(self._backfill(), name="backfill")

    async def _backfill(self) -> None:
        """Add the blocks of events that an earlier release projected without them.

        This takes minutes for millions of events; new events do not wait for it.
        """
        while positions := await self._store.positions_without_blocks():
            self._backfilling.beat()
            log.info("adding the blocks of events from %s on", positions[0])
            blocks = await self._blocks.committed({position.height for position in positions})
            await self._store.backfill_blocks(positions, blocks)
        self._backfilling.idle()

    async def _read(self, read: _Pages, until_caught_up: bool) -> None:
        cursor = await self._store.cursor()
        height = -1
        while True:
            self._reading.beat()
            page = await self._reader.page(cursor)
            if page.events or _height(page) != height:
                await read.put((cursor.position, page))
            cursor, height = page.cursor, _height(page)
            if until_caught_up and not page.more:
                await read.put(None)
                return
            await self._reader.wait_for_more(page)

    async def _load(self, read: _Pages, loaded: _Changes) -> None:
        while (found := await _next(read, self._loading)) is not None:
            since, page = found
            items = await self._records(page)
            change = Change(since, page.events, items, page.cursor, _height(page), page.blocks)
            await loaded.put(change)
        await loaded.put(None)

    async def _records(self, page: CommittedPage) -> list[Item]:
        heights = {event.item_id: event.position.height for event in page.events if event.item_id}
        ids = [
            item_id for item_id, height in heights.items() if height > self._read_at.get(item_id, 0)
        ]
        if not ids:
            return []
        known = max(page.committed, self._subscription.height)
        records = await self._node.items(ids)
        missing = [item_id for item_id, item in zip(ids, records, strict=True) if item is None]
        if missing:
            raise IndexUnavailable(
                f"the index has events of items that the chain does not have, such as {missing[0]}",
                hint="the index belongs to another state: rebuild it or the node",
            )
        items = [await self._whole(item, page) for item in records if item is not None]
        self._remember([item.item_id for item in items if _is_final(item, page)], known)
        return items

    async def _whole(self, item: Item, page: CommittedPage) -> Item:
        """Return an item with all that can be known of it where its record was archived."""
        if item.status != "archived":
            return item
        row = await self._store.item(item.item_id)
        whole = await restore_archived(self._node, item, row)
        if whole.created_at:
            return whole
        # Nobody knows more than the page tells: these are the first times that are known.
        times = [event.created_at for event in page.events if event.item_id == item.item_id]
        return replace(whole, created_at=times[0], updated_at=times[-1])

    def _remember(self, ids: list[str], height: int) -> None:
        for item_id in ids:
            self._read_at.pop(item_id, None)  # the newest goes last
            self._read_at[item_id] = height
        for item_id in list(islice(self._read_at, max(0, len(self._read_at) - REMEMBERED))):
            del self._read_at[item_id]

    async def _write(self, loaded: _Changes) -> None:
        while (change := await _next(loaded, self._writing)) is not None:
            if not await self._store.apply(change):
                # Its records are in no row: the other process may have written older ones.
                raise ProjectionMoved(f"another process projected what follows {change.since}")
            self._applied(change)


async def _next[T](queue: asyncio.Queue[T], watchdog: LoopWatchdog) -> T:
    watchdog.idle()
    found = await queue.get()
    watchdog.beat()
    return found


def _is_final(item: Item, page: CommittedPage) -> bool:
    """Tell whether a later page has no more to tell of an item that was read.

    An index that is behind the state has the record of an archived item once it has its archive.
    """
    return item.status != "archived" or any(
        event.item_id == item.item_id and event.name == "ItemArchived" for event in page.events
    )


def _height(page: CommittedPage) -> int:
    """Return the height up to which a page leaves nothing to read."""
    return page.cursor.position.height - 1 if page.more else page.height
