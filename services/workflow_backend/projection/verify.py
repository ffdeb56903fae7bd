"""Verification of the projection: compared with the chain and its index, item by item."""

import asyncio
import json
import time
from typing import Any, TextIO

from ..chain.block_subscription import BlockSubscription
from ..chain.blocks import Blocks
from ..chain.contract import ITEM_EVENTS
from ..chain.events import Cursor, EventReader
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..errors import IndexUnavailable
from ..settings import Settings
from ..store import open_as_is
from ..store.base import WritableStore
from .event_diff import projected_events
from .item_diff import Row, item_difference, paired_pages

STALL_SECONDS = 3.0
"""Seconds without progress after which a projection that is behind is judged as it is."""

POLL_SECONDS = 0.05
EVENTS_PAGE = 1_000
ROUNDS = 5


async def verify(settings: Settings, out: TextIO) -> dict[str, int]:
    """Write each difference as a line of JSON; return the numbers of what was compared.

    The chain may go on meanwhile: what differs is compared again once the projection has caught
    up. Raises WorkflowError if a part can't be read.
    """
    async with Rpc(settings.node_url) as rpc, open_as_is(settings) as store:
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
        self._blocks = Blocks(node, BlockSubscription(node.rpc))
        self._store = store
        self._out = out
        self.found = {"items": 0, "events": 0, "differences": 0}

    def _report(self, **difference: Any) -> None:
        self.found["differences"] += 1
        print(json.dumps(difference), file=self._out, flush=True)

    async def items(self) -> None:
        """Compare each item of the chain or the projection, in the order of ids."""
        async for projected in paired_pages(self._node, self._store):
            await self._compare(projected)

    async def _compare(self, projected: dict[str, Row | None]) -> None:
        self.found["items"] += len(projected)
        ids = list(projected)
        records = await self._node.items(ids)
        pairs = zip(ids, records, strict=True)
        differing = [
            item_id for item_id, item in pairs if item_difference(item, projected[item_id])
        ]
        for _ in range(ROUNDS):
            if not differing:
                return
            differing = await self._compare_again(differing)

    async def _compare_again(self, ids: list[str]) -> list[str]:
        """Compare items once the projection has caught up; return those that changed meanwhile."""
        records = await self._node.items(ids)
        await self._wait_for_height((await self._node.status()).height)
        rows = [await self._store.item(item_id) for item_id in ids]
        unchanged = [
            one == two for one, two in zip(records, await self._node.items(ids), strict=True)
        ]
        for item_id, item, row, same in zip(ids, records, rows, unchanged, strict=True):
            found = item_difference(item, row)
            if same and found:
                self._report(item_id=item_id, **found)
        return [item_id for item_id, same in zip(ids, unchanged, strict=True) if not same]

    async def _wait_for_height(self, height: int) -> None:
        """Wait until the projection reaches a height or makes no progress."""
        at, since = -1, time.monotonic()
        while at < height and time.monotonic() - since < STALL_SECONDS:
            now = (await self._store.progress()).height
            if now > at:
                at, since = now, time.monotonic()
            else:
                await asyncio.sleep(POLL_SECONDS)

    async def events(self) -> None:
        """Compare the events up to the projection's position with those of the index."""
        reader = EventReader(self._node, ITEM_EVENTS)
        cursor, end = Cursor(), (await self._store.cursor()).position
        while cursor.position < end:
            page = await reader.page(cursor)
            if page.height < end.height:
                raise IndexUnavailable(
                    f"the index is at height {page.height}, the projection at {end.height}",
                    hint="wait until the index has caught up",
                )
            until = min(page.cursor.position, end) if page.events else end
            indexed = {
                event.position: event.name for event in page.events if event.position <= until
            }
            await self._compare_blocks({event.position.height for event in page.events})
            projected = await projected_events(self._store, cursor.position, until, EVENTS_PAGE)
            self.found["events"] += len(indexed.keys() | projected.keys())
            for position in sorted(indexed.keys() | projected.keys()):
                if indexed.get(position) != projected.get(position):
                    self._report(
                        event=str(position),
                        index=indexed.get(position),
                        projection=projected.get(position),
                    )
            if not page.events:
                return
            cursor = page.cursor

    async def _compare_blocks(self, heights: set[int]) -> None:
        """Compare the hashes of blocks: a projection of another history is wrong as a whole."""
        for height, block in (await self._blocks.committed(heights)).items():
            projected = await self._store.block(height)
            if projected is not None and projected.hash != block.hash:
                self._report(block=height, chain=block.hash, projection=projected.hash)

    async def counts(self) -> None:
        """Compare the numbers of items by status with the items."""
        for status, (counted, there) in (await self._store.audit_counts()).items():
            if counted != there:
                self._report(status=status, counted=counted, projection=there)
