"""Block notices from a node that ends a subscription and keeps the socket open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from workflow_backend.chain import block_subscription as module
from workflow_backend.chain.block_subscription import BlockSubscription
from workflow_backend.chain.rpc import Rpc

HEADER = {
    "height": "7",
    "time": "2026-01-01T00:00:00.000000Z",
    "data_hash": "AA",
    "last_block_id": {"hash": "BB"},
}


class FakeNode:
    """It ends the first subscription, as CometBFT does with a client that it finds too slow."""

    def __init__(self) -> None:
        self.subscriptions = 0

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive_json()
        self.subscriptions += 1
        await socket.send_json({"jsonrpc": "2.0", "id": 1, "result": {}})
        if self.subscriptions == 1:
            ended = {"code": -32000, "message": "Server error", "data": "subscription was canceled"}
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "error": ended})
        else:
            result = {"data": {"value": {"header": HEADER}}}
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "result": result})
        await socket.receive()  # until the client closes it
        return socket


@asynccontextmanager
async def serving(node: FakeNode) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_get("/websocket", node.serve)
    runner = web.AppRunner(application, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_subscription_is_renewed_after_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RECONNECT_SECONDS", 0.01)
    node = FakeNode()
    async with serving(node) as url, Rpc(url) as rpc:
        subscription = BlockSubscription(rpc)
        async with subscription.running():
            assert await subscription.wait(10)
            assert subscription.height == 7
    assert node.subscriptions == 2
