"""A node's RPC seen through a bad line: requests that never arrive, answers and sockets lost."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import aiohttp
from aiohttp import WSMsgType, web

FORWARD, LOSE_REQUEST, LOSE_ANSWER = "forward", "lose request", "lose answer"


@dataclass
class BadLine:
    """`fate` decides over each broadcast by its number, from 0; all else goes through.

    So do websockets while `announcing`; one that is open goes silent with `mute`: it stays, and
    not even a ping is answered. `sockets` are those that are open.
    """

    fate: Callable[[int], str] = lambda _: FORWARD
    broadcasts: list[str] = field(default_factory=list)
    announcing: bool = True
    sockets: list[asyncio.Transport] = field(default_factory=list)
    muted: set[asyncio.Transport] = field(default_factory=set)
    port: int = 0

    @property
    def url(self) -> str:
        """The address of this line; one that ended comes back where it was."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End every websocket as a line that breaks does, and let none through any more."""
        self.announcing = False
        for socket in self.sockets:
            socket.abort()

    def mute(self) -> None:
        """Let nothing more through the websockets that are open."""
        self.muted.update(self.sockets)

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

            async def announce(request: web.Request) -> web.StreamResponse:
                if not self.announcing:
                    raise web.HTTPBadGateway
                assert isinstance(request.transport, asyncio.Transport)
                client = web.WebSocketResponse(autoping=False)
                await client.prepare(request)
                async with session.ws_connect(f"{node_url}/websocket") as node:
                    await self._carry(request.transport, client, node)
                return client

            application = web.Application()
            application.router.add_post("/", handle)
            application.router.add_get("/websocket", announce)
            runner = web.AppRunner(application, shutdown_timeout=1.0)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", self.port)
            await site.start()
            self.port = runner.addresses[0][1]
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _carry(
        self,
        socket: asyncio.Transport,
        client: web.WebSocketResponse,
        node: aiohttp.ClientWebSocketResponse,
    ) -> None:
        async def back() -> None:
            async for message in node:
                if socket not in self.muted:
                    await client.send_str(message.data)

        self.sockets.append(socket)
        carrying = asyncio.create_task(back())
        try:
            async for message in client:
                if socket in self.muted:
                    continue
                if message.type == WSMsgType.PING:
                    await client.pong(message.data)
                elif message.type == WSMsgType.TEXT:
                    await node.send_str(message.data)
        finally:
            carrying.cancel()
            self.sockets.remove(socket)
