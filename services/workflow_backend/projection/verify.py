"""The projection held against the chain and its index, item by item and event by event."""

import asyncio
import json
import time
from typing import Any, TextIO

from ..chain.blocks import Blocks
from ..chain.contract import ITEM_EVENTS
from ..chain.events import Cursor, EventReader
from ..chain.heads import Heads
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..errors import IndexUnavailable
from ..items import Place
from ..settings import Settings
from ..store import the_store
from ..store.base import WritableStore
from .compare import Row, difference, pages

STILL_SECONDS = 3.0
"""A projection that is behind and does not move in this time is judged as it is."""

POLL_SECONDS = 0.05
ROUNDS = 5


async def verify(settings: Settings, out: TextIO) -> dict[str, int]:
    """Write each difference as a line of JSON; return how much was compared and differs.

    The chain may go on meanwhile: what differs is looked at again once the projection has caught
    up. Raises WorkflowError where a part can't be read.
    """
    async with Rpc(settings.node_url) as rpc, the_store(settings) as store:
        node = Node(rpc, settings.contract)
        await node.require_chain(settings.chain_id)
        verifier = _Verifier(node, store, out)
        await verifier.items()
        await verifier.events()
        await verifier.counts()
    return verifier.found


class _Verifier:
    def __init__(self, node: Node, store: WritableStore, out: TextIO) -> None:
        self._node = node
        self._blocks = Blocks(node, Heads(node.rpc))
        self._store = store
        self._out = out
        self.found = {"items": 0, "events": 0, "differences": 0}

    def _tell(self, **difference: Any) -> None:
        self.found["differences"] += 1
        print(json.dumps(difference), file=self._out, flush=True)

    async def items(self) -> None:
        """Compare each item that is on the chain or in the projection, by the alphabet."""
        async for projected in pages(self._node, self._store):
            await self._compare(projected)

    async def _compare(self, projected: dict[str, Row | None]) -> None:
        self.found["items"] += len(projected)
        ids = list(projected)
        records = await self._node.items(ids)
        pairs = zip(ids, records, strict=True)
        differing = [item_id for item_id, item in pairs if difference(item, projected[item_id])]
        for _ in range(ROUNDS):
            if not differing:
                return
            differing = await self._again(differing)

    async def _again(self, ids: list[str]) -> list[str]:
        """Compare items once the projection has caught up; return those that changed meanwhile."""
        records = await self._node.items(ids)
        await self._reached((await self._node.status()).height)
        rows = [await self._store.item(item_id) for item_id in ids]
        unchanged = [
            one == two for one, two in zip(records, await self._node.items(ids), strict=True)
        ]
        for item_id, item, row, same in zip(ids, records, rows, unchanged, strict=True):
            found = difference(item, row)
            if same and found:
                self._tell(item_id=item_id, **found)
        return [item_id for item_id, same in zip(ids, unchanged, strict=True) if not same]

    async def _reached(self, height: int) -> None:
        """Wait until the projection has a height, or stands still."""
        at, since = -1, time.monotonic()
        while at < height and time.monotonic() - since < STILL_SECONDS:
            now = (await self._store.position()).height
            if now > at:
                at, since = now, time.monotonic()
            else:
                await asyncio.sleep(POLL_SECONDS)

    async def events(self) -> None:
        """Compare the events up to the projection's place with those of the index."""
        reader = EventReader(self._node, ITEM_EVENTS)
        cursor, end = Cursor(), (await self._store.cursor()).place
        while cursor.place < end:
            page = await reader.page(cursor)
            if page.height < end.height:
                raise IndexUnavailable(
                    f"the index is at height {page.height}, the projection at {end.height}",
                    hint="wait until the index has caught up",
                )
            until = min(page.cursor.place, end) if page.events else end
            indexed = {
                str(event.place): event.name for event in page.events if event.place <= until
            }
            await self._blocks_of({event.place.height for event in page.events})
            projected = await self._events(cursor.place, until)
            self.found["events"] += len(indexed.keys() | projected.keys())
            for place in sorted(indexed.keys() | projected.keys(), key=Place.parse):
                if indexed.get(place) != projected.get(place):
                    self._tell(
                        event=place, index=indexed.get(place), projection=projected.get(place)
                    )
            if not page.events:
                return
            cursor = page.cursor

    async def _blocks_of(self, heights: set[int]) -> None:
        """Compare the hashes of blocks: what is told of another history is wrong as a whole."""
        for height, block in (await self._blocks.committed(heights)).items():
            projected = await self._store.block(height)
            if projected is not None and projected.hash != block.hash:
                self._tell(block=height, chain=block.hash, projection=projected.hash)

    async def _events(self, after: Place, until: Place) -> dict[str, str]:
        found: dict[str, str] = {}
        while True:
            rows = await self._store.events_after(after)
            for row in rows:
                after = Place.parse(row["id"])
                if after > until:
                    return found
                found[row["id"]] = row["event"]
            if not rows:
                return found

    async def counts(self) -> None:
        """Compare the numbers of items by status with the items."""
        for status, (counted, there) in (await self._store.recount()).items():
            if counted != there:
                self._tell(status=status, counted=counted, projection=there)
