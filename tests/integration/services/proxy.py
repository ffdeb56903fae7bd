"""A node's RPC seen through a bad line: requests that never arrive, answers that are lost."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

FORWARD, LOSE_REQUEST, LOSE_ANSWER = "forward", "lose request", "lose answer"


@dataclass
class BadLine:
    """`fate` decides over each broadcast by its number, from 0; all else goes through."""

    fate: Callable[[int], str] = lambda _: FORWARD
    broadcasts: list[str] = field(default_factory=list)
    url: str = ""

    @contextlib.asynccontextmanager
    async def to(self, node_url: str) -> AsyncIterator[BadLine]:
        """Listen on a free port for as long as the block runs."""
        async with aiohttp.ClientSession() as session:

            async def handle(request: web.Request) -> web.StreamResponse:
                body = await request.read()
                call = json.loads(body)
                fate = FORWARD
                if isinstance(call, dict) and call["method"] == "broadcast_tx_sync":
                    fate = self.fate(len(self.broadcasts))
                    self.broadcasts.append(call["params"]["tx"])
                if fate != LOSE_REQUEST:
                    async with session.post(node_url, data=body) as response:
                        answer = await response.read()
                    if fate == FORWARD:
                        return web.Response(body=answer, content_type="application/json")
                assert request.transport is not None
                request.transport.abort()
                return web.Response()

            application = web.Application()
            application.router.add_post("/", handle)
            runner = web.AppRunner(application)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                yield self
            finally:
                await runner.cleanup()
