"""A slow comparison of the projection with the chain, all the time, that mends what it finds.

Whatever left a row as it should not be, a fault or a hand, nobody has to notice it first. Each page
costs the same, so that a chain with many items is only compared more slowly.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from ..chain.node import Node
from ..errors import WorkflowError
from ..items import Item
from ..store.base import WritableStore
from .compare import Row, difference, pages

log = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0
"""Seconds from one page of items to the next."""

LEVEL_SECONDS = 30.0
"""For so long a projection that is behind is waited for; then its page waits for the next round."""

POLL_SECONDS = 0.2


@dataclass(slots=True)
class Progress:
    """Items compared in this round, rounds that are over, and what was mended in all of them.

    `unmended` names an item of this round or the last one that only a rebuild can put right.
    """

    compared: int = 0
    rounds: int = 0
    mended: int = 0
    unmended: str = ""


class Scrub:
    """Compares all items with the chain, round after round. `told` is called with the progress."""

    def __init__(
        self, node: Node, store: WritableStore, told: Callable[[dict[str, int | str]], None]
    ) -> None:
        self._node = node
        self._store = store
        self._told = told
        self._progress = Progress()

    async def run(self) -> None:
        """Go on for ever; what can't be read now is read in the next round."""
        while True:
            try:
                await self.round()
            except WorkflowError as error:  # whoever follows the chain says so, too
                log.debug("the comparison begins anew: %s", error)
            await asyncio.sleep(PAUSE_SECONDS)

    async def round(self) -> None:
        """Compare every item once; raises WorkflowError where chain or store can't be read."""
        self._progress.compared = 0
        unmended = ""
        async for projected in pages(self._node, self._store):
            unmended = await self._page(projected) or unmended
            self._progress.compared += len(projected)
            self._progress.unmended = unmended or self._progress.unmended
            self._told(asdict(self._progress))
            await asyncio.sleep(PAUSE_SECONDS)
        if any(counted != there for counted, there in (await self._store.recount()).values()):
            log.warning("the numbers of items by status were wrong: they are counted anew")
            await self._store.count_anew()
            self._progress.mended += 1
        self._progress.rounds += 1
        self._progress.unmended = unmended
        self._told(asdict(self._progress))

    async def _page(self, projected: dict[str, Row | None]) -> str:
        """Compare rows, which were read before; return an item that can't be mended, or ''."""
        records = dict(zip(projected, await self._node.items(list(projected)), strict=True))
        differing = [each for each in projected if difference(records[each], projected[each])]
        if not differing or not await self._is_level():
            return ""
        unmended = ""
        for item_id in differing:
            row = await self._store.item(item_id)
            record = await self._node.item(item_id)
            # What changed meanwhile was not wrong, but on its way.
            if row != projected[item_id] or record != records[item_id]:
                continue
            if not await self._mended(row, record):
                unmended = item_id
                log.warning("item %s differs from the chain: the projection is wrong", item_id)
        return unmended

    async def _mended(self, row: Row | None, record: Item | None) -> bool:
        if record is None or not await self._store.mend(record, row):
            return False
        log.warning(
            "item %s differed from the chain and was mended: %s",
            record.item_id,
            difference(record, row),
        )
        self._progress.mended += 1
        return True

    async def _is_level(self) -> bool:
        """Wait until the projection has all that the chain had when it was asked."""
        height = (await self._node.status()).height
        deadline = time.monotonic() + LEVEL_SECONDS
        while (await self._store.position()).height < height:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True
