"""The projector: events of the index in, a page and its items' records into the store at once."""

import asyncio
import logging

from ..chain.contract import ITEM_EVENTS
from ..chain.events import Cursor, EventReader, Page, until_more
from ..chain.heads import Heads
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..errors import IndexUnavailable, NodeUnavailable, WorkflowError
from ..heartbeat import Heartbeat
from ..items import Item
from ..settings import Settings
from ..store import open_for_writing
from ..store.base import Change, WritableStore

log = logging.getLogger(__name__)

TROUBLE_SECONDS = 1.0


class Projector:
    """Keeps one store level with the index."""

    def __init__(self, node: Node, store: WritableStore, cursor: Cursor) -> None:
        self._node = node
        self._store = store
        self._reader = EventReader(node, ITEM_EVENTS)
        self._cursor = cursor
        self._height = -1

    async def step(self) -> Page:
        """Take in one page; returns it. Raises WorkflowError with the store as it was before."""
        page = await self._reader.page(self._cursor)
        if page.events:
            ids = list(dict.fromkeys(e.item_id for e in page.events if e.item_id))
            records = await self._node.items(ids)
            missing = [item_id for item_id, item in zip(ids, records, strict=True) if item is None]
            if missing:
                raise IndexUnavailable(
                    f"the index tells of items that the chain does not have, {missing[0]} first",
                    hint="the index belongs to another state: rebuild it or the node",
                )
            items = [item for item in records if item is not None]
            await self._apply(page, items)
        elif page.height != self._height:
            await self._apply(page, [])
        return page

    async def _apply(self, page: Page, items: list[Item]) -> None:
        change = Change(self._cursor.place, page.events, items, page.cursor, page.height)
        await self._store.apply(change)
        self._cursor, self._height = page.cursor, page.height


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Project until `stop` is set; raises WorkflowError where it can't begin."""
    async with Rpc(settings.node_url) as rpc:
        node = Node(rpc, settings.contract)
        await node.require_chain(settings.chain_id)
        heads = Heads(rpc)
        heartbeat = Heartbeat(settings.state_dir, "projector")
        log.info("projecting %s on %s", settings.contract, settings.chain_id)
        async with (
            open_for_writing(settings) as store,
            heads.following(),
            heartbeat.beating(),
        ):
            projector = Projector(node, store, await store.cursor())
            while not stop.is_set():
                try:
                    page = await projector.step()
                except (NodeUnavailable, IndexUnavailable) as error:
                    _report(heartbeat, error)
                    await asyncio.sleep(TROUBLE_SECONDS)
                    continue
                heartbeat.status = {"height": page.height, "problem": ""}
                await until_more(page, heads)
    log.info("projector stopped")


def _report(heartbeat: Heartbeat, error: WorkflowError) -> None:
    log.warning("%s", error.explain())
    heartbeat.status = {**heartbeat.status, "problem": error.explain()}
