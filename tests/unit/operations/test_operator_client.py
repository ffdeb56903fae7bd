"""The operator's client believes the node of a host no more than a peer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from xian_py.models import TransactionSubmission

from workflow_backend.chain import sessions
from workflow_backend.chain.node import Node
from workflow_backend.chain.rpc import Rpc
from workflow_backend.errors import NodeUnavailable
from workflow_backend.operations import operator_client
from workflow_backend.operations.operator_client import OperatorClient
from workflow_backend.settings import Settings

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def _state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(operator_client, "user_state_dir", lambda: tmp_path)


@asynccontextmanager
async def hostile(handler: Handler) -> AsyncIterator[Settings]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(application) as server:
        yield Settings.load(
            {
                "XIAN_NODE_URL": str(server.make_url("")).rstrip("/"),
                "XIAN_CHAIN_ID": "unit-1",
                "XIAN_WALLET_PRIVATE_KEY": "11" * 32,
            }
        )


async def test_operator_client_takes_no_answers_without_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "PEER_BYTES", 1 << 20)

    async def large(_: web.Request) -> web.Response:
        return web.json_response({"jsonrpc": "2.0", "id": 0, "result": {"x": "x" * (2 << 20)}})

    async with hostile(large) as settings:
        with pytest.raises(NodeUnavailable, match="more than 1 MiB"):
            async with OperatorClient.open(settings):
                pass


async def test_operator_client_waits_for_no_node_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operator_client, "SESSION_SECONDS", 0.2)
    ended = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await ended.wait()
        return web.Response()

    async with hostile(slow) as settings:
        with pytest.raises(NodeUnavailable, match=r"takes more than 0\.2 s"):
            async with OperatorClient.open(settings):
                pass
        ended.set()


@pytest.mark.parametrize("error", [TypeError("x"), KeyError("hash"), RecursionError()])
async def test_operator_client_names_a_node_with_odd_answers(error: Exception) -> None:
    async def send() -> TransactionSubmission:
        raise error

    rpc = Rpc("http://127.0.0.1:1")
    client = OperatorClient(Node(rpc, "con"), None, "a", check=False)
    with pytest.raises(NodeUnavailable, match=rf"can't deploy: the node at {rpc.url} answers"):
        await client.do("deploy", send)
