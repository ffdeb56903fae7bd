"""A node's announcements of new blocks, which wake whoever waits for one."""

import asyncio
import contextlib
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import aiohttp

from .. import times
from ..background import background
from ..items import Block
from .rpc import Rpc

log = logging.getLogger(__name__)

RECONNECT_SECONDS = 1.0
REMEMBERED = 100
"""Committed blocks that are kept in `blocks`."""

_NO_TRANSACTIONS = hashlib.sha256().hexdigest().upper()


class BlockSubscription:
    """Subscribes to block headers over the node's WebSocket.

    `height` is that of the newest block with transactions, 0 while there is no subscription. The
    node has executed that block, so its state is at least as new. `blocks` are the last committed
    blocks by height. The subscription may break unnoticed: every wait needs a time limit.
    """

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._announced = asyncio.Event()
        self._committed = asyncio.Event()
        self._newest: dict[str, Any] | None = None
        self.height = 0
        self.blocks: OrderedDict[int, Block] = OrderedDict()

    @property
    def time(self) -> float:
        """When the newest block was committed, in seconds since 1970, 0 where none is known."""
        return datetime.fromisoformat(self._newest["time"]).timestamp() if self._newest else 0.0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[BlockSubscription]:
        """Keep the subscription up in the background for as long as the block runs."""
        async with background(self._run(), "block subscription"):
            yield self

    async def wait(self, seconds: float) -> bool:
        """Wait for the next block with transactions; return False if there is none in time."""
        try:
            return await asyncio.wait_for(self._announced.wait(), seconds)
        except TimeoutError:
            return False

    async def wait_committed(self, seconds: float) -> bool:
        """Wait for the next commit of a block; return False if there is none in time."""
        try:
            return await asyncio.wait_for(self._committed.wait(), seconds)
        except TimeoutError:
            return False

    async def _run(self) -> None:
        while True:
            try:
                await self._subscribe()
            except (aiohttp.ClientError, OSError, ValueError) as error:
                log.debug("no block announcements: %s", error)
            finally:
                self.height = 0  # the node may come back from an older state
                self._newest = None
                self.blocks.clear()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _subscribe(self) -> None:
        async with self._rpc.session.ws_connect(
            f"{self._rpc.url}/websocket", heartbeat=10
        ) as socket:
            await socket.send_json(
                {
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "subscribe",
                    "params": {"query": "tm.event='NewBlockHeader'"},
                }
            )
            async for message in socket:
                if message.type != aiohttp.WSMsgType.TEXT:
                    return
                answer = json.loads(message.data)
                if "error" in answer:
                    # The node ends a subscription that it finds too slow, but keeps the socket.
                    raise ValueError(f"the subscription ended: {answer['error']}")
                data = answer.get("result", {}).get("data")
                if data:
                    self._handle_header(data["value"]["header"])

    def _handle_header(self, header: dict[str, Any]) -> None:
        before, self._newest = self._newest, header
        height = int(header["height"])
        if before is not None and int(before["height"]) == height - 1:
            self.blocks[height - 1] = Block(
                height - 1,
                header["last_block_id"]["hash"],
                times.parse(before["time"]),
                times.parse(header["time"]),
            )
            if len(self.blocks) > REMEMBERED:
                self.blocks.popitem(last=False)
        self._committed.set()
        self._committed = asyncio.Event()
        # An empty block follows each block with transactions and brings nothing else.
        if header["data_hash"] != _NO_TRANSACTIONS:
            self.height = height
            self._wake_waiters()

    def _wake_waiters(self) -> None:
        # Whoever waits now is woken; whoever comes later waits for the next block.
        self._announced.set()
        self._announced = asyncio.Event()
