"""Requests that wait for an item to be settled: all of them share one look a block."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ..background import background
from ..chain.heads import Heads
from ..chain.node import Node
from ..errors import WorkflowError
from ..items import SETTLED, Item
from ..outage import Outage
from ..pulse import Pulse
from .caller import Caller

LOOK_SECONDS = 1.0


class Waiting:
    """Looks at the items that somebody waits for, at each new block."""

    def __init__(self, node: Node, heads: Heads, pulse: Pulse) -> None:
        self._pulse = pulse
        self._node = node
        self._heads = heads
        self._waiting: dict[str, list[asyncio.Future[Item]]] = {}
        self._any = asyncio.Event()
        self._outage = Outage("waiting items are looked at again")

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[Waiting]:
        """Look for as long as the block runs."""
        async with background(self._look(), "waiting"):
            yield self

    async def settled(self, item_id: str, seconds: float, caller: Caller) -> Item | None:
        """Return the item once it is settled, None where time or its caller's patience ends."""
        future: asyncio.Future[Item] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(item_id, []).append(future)
        self._any.set()
        try:
            return await caller.first(future, seconds)
        finally:
            waiting = self._waiting.get(item_id, [])
            if future in waiting:
                waiting.remove(future)
            if not waiting:
                self._waiting.pop(item_id, None)

    async def _look(self) -> None:
        while True:
            if not self._waiting:
                self._any.clear()
                self._pulse.rest()
                await self._any.wait()
            self._pulse()
            try:
                for item in await self._node.items(list(self._waiting)):
                    if item is not None and item.status in SETTLED:
                        self._tell(item)
            except WorkflowError as error:  # of this look: the next one may do better
                self._outage.failed(error)
            else:
                self._outage.well()
            await self._heads.wait(LOOK_SECONDS)

    def _tell(self, item: Item) -> None:
        for future in self._waiting.pop(item.item_id, []):
            if not future.done():
                future.set_result(item)
