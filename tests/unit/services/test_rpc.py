"""What answers at the node's address may be anything: it is named, and never a traceback."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from workflow_backend.chain.node import Node
from workflow_backend.chain.rpc import Rpc
from workflow_backend.errors import NodeRefused, NodeUnavailable, NodeUnreachable

BODIES = {
    "a page": "<html>welcome</html>",
    "nothing": "",
    "a problem of an API": '{"type": "about:blank", "title": "Not Found", "status": 404}',
    "null": "null",
    "a number": "5",
    "a list": "[]",
    "a list of numbers": "[1, 2]",
    "a result that is none": '{"jsonrpc": "2.0", "id": 0, "result": null}',
    "another result": '{"jsonrpc": "2.0", "id": 0, "result": {"version": "7"}}',
    "a result that is a text": '{"jsonrpc": "2.0", "id": 0, "result": "0x1"}',
    "an error that is a text": '{"jsonrpc": "2.0", "id": 0, "error": "no"}',
}


@contextlib.asynccontextmanager
async def answering(body: str) -> AsyncIterator[Node]:
    """A node behind which something else answers every request with one body."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type="text/plain")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as server, Rpc(str(server.make_url("")).rstrip("/")) as rpc:
        yield Node(rpc, "con_job_workflow")


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
async def test_what_is_no_node_is_named(body: str) -> None:
    async with answering(body) as node:
        for question in (
            node.require_chain("chain-1"),
            node.item("i"),
            node.items(["i", "j"]),
            node.events("ItemSubmitted", 0, 10),
            node.index_status(),
            node.source(),
        ):
            with pytest.raises(NodeUnavailable, match=node.rpc.url) as raised:
                await question
            assert raised.value.hint == "check XIAN_NODE_URL and that the node runs"


@pytest.mark.parametrize("reason", ["EOF", "read message: EOF", "client has stopped"])
async def test_an_app_that_is_away_is_no_refusal(reason: str) -> None:
    """CometBFT goes on answering for a while when its app has ended."""
    error = '{"code": -32603, "message": "Internal error", "data": "%s"}'
    body = '{"jsonrpc": "2.0", "id": 0, "error": %s}'
    async with answering(body % error % reason) as node:
        with pytest.raises(NodeUnavailable, match=reason):
            await node.item("i")
    async with answering(body % error % f"appConn mempool: {reason}") as node:
        with pytest.raises(NodeUnavailable, match=reason):
            await node.rpc.write("broadcast_tx_sync", tx="AA==")
    async with answering(body % error % "endpoint is closed while node is catching up") as node:
        with pytest.raises(NodeUnreachable, match="is behind"):
            await node.rpc.write("broadcast_tx_sync", tx="AA==")
    async with answering(body % error % "mempool is full") as node:
        with pytest.raises(NodeRefused, match="is full"):
            await node.rpc.write("broadcast_tx_sync", tx="AA==")
