"""Scrubbing: a slow, endless comparison of the projection with the chain that repairs wrong rows.

A row that is wrong, by a fault or by hand, is found without anybody having to notice it, and so is
an event that is missing. Each page costs the same, so a round over a chain with many items only
takes longer.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple

from ..chain.node import Node
from ..errors import WorkflowError
from ..items import EventPosition, Item
from ..store.archived_items import restore_archived
from ..store.base import WritableStore
from .event_diff import missing_events, position_of
from .item_diff import Row, item_difference, paired_pages

log = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0
"""Seconds between two pages of items."""

CATCH_UP_SECONDS = 30.0
"""Seconds to wait for projection and node to meet before a page is left to the next round."""

POLL_SECONDS = 0.2


@dataclass(slots=True)
class Progress:
    """Items compared in this round, completed rounds, and repairs in all rounds.

    `unrepairable` is an item of this round or the last one that only a rebuild can put right.
    """

    compared: int = 0
    rounds: int = 0
    repaired: int = 0
    unrepairable: str = ""


class _Fault(NamedTuple):
    """What only a rebuild can put right: an item's row, or an event of it that is missing."""

    item_id: str
    event: EventPosition | None = None


class Scrubber:
    """Compares all items with the chain, round after round.

    `on_progress` is called with the progress after each page.
    """

    def __init__(
        self, node: Node, store: WritableStore, on_progress: Callable[[dict[str, int | str]], None]
    ) -> None:
        self._node = node
        self._store = store
        self._on_progress = on_progress
        self._progress = Progress()
        self._found: _Fault | None = None
        self._reported: _Fault | None = None

    async def run(self) -> None:
        """Run for ever; what can't be read is left to the next round."""
        while True:
            try:
                await self.round()
            except WorkflowError as error:  # the projector reports it
                log.debug("the comparison starts again: %s", error)
            await asyncio.sleep(PAUSE_SECONDS)

    async def round(self) -> None:
        """Compare every item once; raises WorkflowError if the chain or the store can't be read."""
        self._progress.compared = 0
        self._found = None
        async for projected in paired_pages(self._node, self._store):
            if item_id := await self._page(projected):
                self._found = _Fault(item_id)
            self._progress.compared += len(projected)
            await self._end_page()
        if any(counted != there for counted, there in (await self._store.audit_counts()).values()):
            log.warning("the numbers of items by status were wrong and are recomputed")
            await self._store.rebuild_counts()
            self._progress.repaired += 1
        async for missing in missing_events(self._node, self._store):
            for event in missing:
                log.warning("event %s of item %s is missing", event.position, event.item_id)
                self._found = _Fault(event.item_id or "", event.position)
            await self._end_page()
        self._progress.rounds += 1
        self._report(self._found)

    async def _end_page(self) -> None:
        """Report the progress and pause. A rebuild may have put right what was found before."""
        fault = self._found or self._reported
        if fault is not None and not await self._is_there(fault):
            self._found = fault = None
        self._report(fault)
        await asyncio.sleep(PAUSE_SECONDS)

    async def _is_there(self, fault: _Fault) -> bool:
        if fault.event is not None:
            return not await self._store.has_event(fault.event)
        row = await self._store.item(fault.item_id)
        return item_difference(await self._node.item(fault.item_id), row) is not None

    def _report(self, fault: _Fault | None) -> None:
        self._reported = fault
        self._progress.unrepairable = fault.item_id if fault else ""
        self._on_progress(asdict(self._progress))

    async def _page(self, projected: dict[str, Row | None]) -> str:
        """Compare rows with the chain; return an item that can't be repaired, or ''."""
        records = dict(zip(projected, await self._node.items(list(projected)), strict=True))
        differing = [each for each in projected if item_difference(records[each], projected[each])]
        if not differing or not await self._is_at_one_height():
            return ""
        unrepairable = ""
        for item_id in differing:
            row = await self._store.item(item_id)
            record = await self._node.item(item_id)
            # A row or record that changed meanwhile was not wrong, only behind.
            if row != projected[item_id] or record != records[item_id]:
                continue
            if not await self._repair(row, record):
                unrepairable = item_id
                log.warning("item %s differs from the chain: the projection is wrong", item_id)
        return unrepairable

    async def _repair(self, row: Row | None, record: Item | None) -> bool:
        if record is None:
            return False
        if not await self._store.repair(await restore_archived(self._node, record, row), row):
            return False
        log.warning(
            "item %s differed from the chain and was repaired: %s",
            record.item_id,
            item_difference(record, row),
        )
        self._progress.repaired += 1
        return True

    async def _is_at_one_height(self) -> bool:
        """Wait for the projection to reach the node's current height; return whether it did.

        A projection that others write, too, may be ahead of this node, whose records are older then
        than the rows. Whatever was read before this call is in the records that are read after it.
        """
        height = (await self._node.status()).height
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while True:
            progress = await self._store.progress()
            last = position_of(progress).height
            if progress.height >= height and last <= (await self._node.status()).height:
                return True
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)
