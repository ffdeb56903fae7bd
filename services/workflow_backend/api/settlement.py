"""Requests that wait until an item is settled: one poll per block serves all of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ..background import background
from ..chain.block_subscription import BlockSubscription
from ..chain.node import Node
from ..errors import WorkflowError
from ..items import FINAL_STATUSES, Item
from ..outage_log import OutageLog
from ..watchdog import LoopWatchdog
from .waiting_client import WaitingClient

POLL_SECONDS = 1.0
"""Seconds from one poll to the next while no block comes."""


class SettlementWaiter:
    """Polls the awaited items at each new block, and wakes those who wait for a settled one."""

    def __init__(self, node: Node, subscription: BlockSubscription, watchdog: LoopWatchdog) -> None:
        self._watchdog = watchdog
        self._node = node
        self._subscription = subscription
        self._futures: dict[str, list[asyncio.Future[Item]]] = {}
        self._has_waiters = asyncio.Event()
        self._outage = OutageLog("awaited items are polled again")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[SettlementWaiter]:
        """Poll for as long as the block runs."""
        async with background(self._poll(), "settlement waiter"):
            yield self

    async def wait(self, item_id: str, seconds: float, client: WaitingClient) -> Item | None:
        """Return the item once it is settled, None after `seconds` or when the client is gone."""
        future: asyncio.Future[Item] = asyncio.get_running_loop().create_future()
        self._futures.setdefault(item_id, []).append(future)
        self._has_waiters.set()
        try:
            return await client.wait_for(future, seconds)
        finally:
            futures = self._futures.get(item_id, [])
            if future in futures:
                futures.remove(future)
            if not futures:
                self._futures.pop(item_id, None)

    async def _poll(self) -> None:
        while True:
            if not self._futures:
                self._has_waiters.clear()
                self._watchdog.idle()
                await self._has_waiters.wait()
            self._watchdog.beat()
            try:
                for item in await self._node.items(list(self._futures)):
                    if item is not None and item.status in FINAL_STATUSES:
                        self._wake(item)
            except WorkflowError as error:  # the next poll may succeed
                self._outage.record_failure(error)
            else:
                self._outage.record_success()
            await self._subscription.wait(POLL_SECONDS)

    def _wake(self, item: Item) -> None:
        for future in self._futures.pop(item.item_id, []):
            if not future.done():
                future.set_result(item)
