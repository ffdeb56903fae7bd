"""What answers at the node's address may be anything: it is named, and never a traceback."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from workflow_backend.chain import sessions
from workflow_backend.chain.node import Node
from workflow_backend.chain.rpc import Rpc
from workflow_backend.errors import NodeRefused, NodeUnavailable, NodeUnreachable

ANSWER = '{"jsonrpc": "2.0", "id": 0, "result": {"response": {%s}}}'
VALUES = {
    "a value that is a number": '"value": 5',
    "a value that is a list": '"value": [1]',
    "a value that is not base64": '"value": "x"',
    "a value that is not text": '"value": "/w=="',
    "a value that is not a number": '"value": "eA==", "info": "int"',
    "a value that is not a decimal": '"value": "eA==", "info": "decimal"',
    "a value that is not an object": '"value": "eA==", "info": "dict"',
    "a value that nests too deeply": f'"value": "{"W1tb" * 50_000}", "info": "list"',
    "a code that is a text": '"code": {}, "value": 5',
}

BODIES = {
    "a page": "<html>welcome</html>",
    "nothing": "",
    "a problem of an API": '{"type": "about:blank", "title": "Not Found", "status": 404}',
    "null": "null",
    "a number": "5",
    "a list": "[]",
    "a list of numbers": "[1, 2]",
    "an id that is a list": '[{"jsonrpc": "2.0", "id": [], "result": {}}]',
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
async def test_rpc_names_what_is_no_node(body: str) -> None:
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


@pytest.mark.parametrize("value", VALUES.values(), ids=list(VALUES))
async def test_rpc_names_a_node_whose_values_can_not_be_read(value: str) -> None:
    async with answering(ANSWER % value) as node:
        for question in (node.balance("a"), node.committed_nonce("a"), node.next_nonce("a")):
            with pytest.raises((NodeUnavailable, NodeRefused)) as raised:
                await question
            assert isinstance(raised.value, NodeUnavailable) == ("code" not in value)


@pytest.mark.parametrize("number", ["eA==", "bmFu", "aW5m", "LTFlOTk5"])  # x, nan, inf, -1e999
async def test_rpc_names_a_node_whose_balances_are_no_numbers(number: str) -> None:
    async with answering(ANSWER % f'"value": "{number}"') as node:
        for question in (node.balance("a"), node.committed_nonce("a"), node.next_nonce("a")):
            with pytest.raises(NodeUnavailable, match=node.rpc.url):
                await question


@pytest.mark.parametrize("reason", ["EOF", "read message: EOF", "client has stopped"])
async def test_rpc_reports_absent_app_as_unavailable(reason: str) -> None:
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


@contextlib.asynccontextmanager
async def hostile(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], *, is_peer: bool = True
) -> AsyncIterator[Rpc]:
    """A node that answers as `handler` does."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    async with (
        TestServer(application) as server,
        Rpc(str(server.make_url("")).rstrip("/"), is_peer=is_peer) as rpc,
    ):
        yield rpc


async def test_rpc_follows_no_redirect() -> None:
    """A peer would have requests of the control machine go to any port that this one reaches."""
    led: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        led.append(await request.text())
        return web.json_response({"jsonrpc": "2.0", "id": 0, "result": {}})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", elsewhere)
    async with TestServer(application) as other:

        async def redirect(_: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(str(other.make_url("/")))

        async with hostile(redirect) as rpc:
            for ask in (rpc.call("status"), rpc.write("broadcast_tx_sync", tx="AA==")):
                with pytest.raises(NodeUnavailable, match="it redirects"):
                    await ask
    assert led == []


async def test_rpc_unpacks_nothing() -> None:
    async def packed(_: web.Request) -> web.Response:
        body = gzip.compress(b'{"jsonrpc": "2.0", "id": 0, "result": {}}')
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async with hostile(packed) as rpc:
        with pytest.raises(NodeUnavailable, match="is compressed"):
            await rpc.call("status")


async def test_rpc_stops_reading_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PEER_BYTES", 1 << 20)
    ended = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * (1 << 16))
        finally:
            ended.set()

    async with hostile(endless) as rpc:
        with pytest.raises(NodeUnavailable, match="more than 1 MiB"):
            await rpc.call("status")
        await asyncio.wait_for(ended.wait(), 5)


async def test_rpc_stops_reading_answers_without_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PEER_BYTES", 1 << 20)

    async def large(_: web.Request) -> web.Response:
        result = {"jsonrpc": "2.0", "id": 0, "result": {"x": "x" * (300 << 10)}}
        return web.json_response(result)

    async with hostile(large) as rpc:
        for _ in range(3):
            await rpc.call("validators")
        with pytest.raises(NodeUnavailable, match="more than 1 MiB"):
            await rpc.call("validators")
    async with hostile(large, is_peer=False) as own:
        for _ in range(5):
            await own.call("validators")


async def test_rpc_names_an_answer_that_is_too_deep() -> None:
    async def deep(_: web.Request) -> web.Response:
        return web.Response(text="[" * 200_000)

    async with hostile(deep) as rpc:
        with pytest.raises(NodeUnavailable, match=rpc.url):
            await rpc.call("status")


async def test_reason_of_a_node_reaches_no_terminal_as_it_is() -> None:
    async with answering(
        '{"jsonrpc": "2.0", "id": 0, "error": {"data": "\\u001b[2J\\nfine"}}'
    ) as node:
        with pytest.raises(NodeRefused) as raised:
            await node.rpc.call("status")
    assert r"\x1b[2J\nfine" in raised.value.explain()
    assert raised.value.explain().isprintable()
