"""New blocks as they come: the websocket wakes whoever waits, a time limit covers its loss."""

import asyncio
import contextlib
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from .. import times
from ..background import background
from ..items import Block
from .rpc import Rpc

log = logging.getLogger(__name__)

RECONNECT_SECONDS = 1.0
REMEMBERED = 100
"""So many blocks are known without asking for them."""

_NO_TRANSACTIONS = hashlib.sha256().hexdigest().upper()


class Heads:
    """A wake-up at each new block that holds transactions; `height` is the last such block's.

    The node has taken that block in: whatever is read of its state from now on is that new. It is 0
    where nothing is known. A wake-up promises only speed: callers always have a time limit.
    `blocks` are the last ones that are committed for good, by height.
    """

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._woken = asyncio.Event()
        self._committed = asyncio.Event()
        self._newest: dict[str, Any] | None = None
        self.height = 0
        self.blocks: OrderedDict[int, Block] = OrderedDict()

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[Heads]:
        """Follow the chain in the background for as long as the block runs."""
        async with background(self._follow(), "heads"):
            yield self

    async def wait(self, seconds: float) -> bool:
        """Return True at the next block, False when none came in `seconds`."""
        try:
            return await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return False

    async def wait_committed(self, seconds: float) -> bool:
        """Return True once another block is committed for good, False when none is in `seconds`."""
        try:
            return await asyncio.wait_for(self._committed.wait(), seconds)
        except TimeoutError:
            return False

    async def _follow(self) -> None:
        while True:
            try:
                await self._subscribe()
            except (aiohttp.ClientError, OSError, ValueError) as error:
                log.debug("no block notices: %s", error)
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
                told = json.loads(message.data)
                if "error" in told:
                    # The node ends a subscription that it finds too slow, and keeps the socket.
                    raise ValueError(f"the subscription ended: {told['error']}")
                data = told.get("result", {}).get("data")
                if data:
                    self._told(data["value"]["header"])

    def _told(self, header: dict[str, Any]) -> None:
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
        # A block without transactions, of which one follows each with some, brings nothing else.
        if header["data_hash"] != _NO_TRANSACTIONS:
            self.height = height
            self._wake()

    def _wake(self) -> None:
        # Whoever waits now is woken; whoever comes later waits for the next block.
        self._woken.set()
        self._woken = asyncio.Event()
