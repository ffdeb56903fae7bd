"""What a node tells of the contract's state is bounded and has a form, whoever runs the node."""

import contextlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from workflow_backend.chain import node as module
from workflow_backend.chain.node import Node
from workflow_backend.chain.rpc import Rpc
from workflow_backend.chain.state_answers import Pause
from workflow_backend.errors import ForeignRecord, NodeUnavailable

ACCOUNT = "a" * 64
PAUSE = {"actor": ACCOUNT, "reason": "flood", "until": 0, "paused_at": "2026-01-01 00:00:00"}


@contextlib.asynccontextmanager
async def telling(value: Callable[[str], Any]) -> AsyncIterator[Node]:
    """A node whose state has under each path what `value` says."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        told = value(unquote(request["params"]["path"]))
        kind = {bool: "bool", dict: "dict", list: "list"}.get(type(told), "str")
        text = json.dumps(told) if kind in {"dict", "list"} else str(told)
        response = {"value": b64encode(text.encode()).decode(), "info": kind}
        return {"jsonrpc": "2.0", "id": request["id"], "result": {"response": response}}

    async def handle(request: web.Request) -> web.Response:
        asked = await request.json()
        if isinstance(asked, list):
            return web.json_response([answer(each) for each in asked])
        return web.json_response(answer(asked))

    application = web.Application()
    application.router.add_post("/", handle)
    async with TestServer(application) as server, Rpc(str(server.make_url("")).rstrip("/")) as rpc:
        yield Node(rpc, "con_job_workflow")


@pytest.mark.parametrize(
    "page",
    [
        {},
        [],
        {"items": ["a"]},
        {"items": 5, "has_more": False},
        {"items": [1], "has_more": False},
        {"items": [""], "has_more": False},
        {"items": ["x" * 1000], "has_more": False},
        {"items": ["b", "a"], "has_more": False},
        {"items": ["a", "a"], "has_more": False},
        {"items": [], "has_more": True},
        {"items": [f"{n:04}" for n in range(201)], "has_more": False},
    ],
)
async def test_keys_of_another_form_are_refused(page: Any) -> None:
    async with telling(lambda _: page) as node:
        for ask in (node.item_ids("", 200), node.agents(ACCOUNT)):
            with pytest.raises(NodeUnavailable, match=node.rpc.url):
                await ask


async def test_keys_go_on_without_end_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async with telling(lambda _: {"items": ["a"], "has_more": True}) as node:
        assert await node.item_ids("", 200) == (["a"], True)
        for ask in (node.item_ids("a", 200), node.item_ids("b", 200), node.agents(ACCOUNT)):
            with pytest.raises(NodeUnavailable, match=node.rpc.url):
                await ask
    monkeypatch.setattr(module, "AGENTS", 5)

    def endless(path: str) -> Any:
        last = path.partition("/after=")[2]
        return {"items": [last + "a"], "has_more": True}

    async with telling(endless) as node:
        with pytest.raises(NodeUnavailable, match=node.rpc.url):
            await node.agents(ACCOUNT)


async def test_agents_are_those_of_all_pages_that_may_act() -> None:
    def state(path: str) -> Any:
        if path.startswith("/keys"):
            is_first = "/after=" not in path
            return {"items": ["a", "b"] if is_first else ["c"], "has_more": is_first}
        return not path.endswith(":b")

    async with telling(state) as node:
        assert await node.agents(ACCOUNT) == ["a", "c"]


@pytest.mark.parametrize(
    "odd",
    [
        {"until": 10**30},
        {"until": -1},
        {"until": "soon"},
        {"until": None},
        {"reason": "\x1b[2J"},
        {"reason": "x" * 1000},
        {"actor": "a b"},
        {"paused_at": 5},
    ],
)
async def test_pause_of_another_form_is_refused(odd: dict[str, Any]) -> None:
    async with telling(lambda _: {"job": PAUSE | odd}) as node:
        with pytest.raises(ForeignRecord):
            await node.pauses()


@pytest.mark.parametrize("kind", ["", "a b", "\x1b[2J", "k" * 65])
async def test_pause_of_an_impossible_kind_is_refused(kind: str) -> None:
    async with telling(lambda _: {kind: PAUSE}) as node:
        with pytest.raises(ForeignRecord):
            await node.pauses()


async def test_pauses_are_read() -> None:
    async with telling(lambda _: {"*": PAUSE, "job-2": PAUSE | {"until": 5}}) as node:
        lasting = Pause(ACCOUNT, "flood", 0, "2026-01-01 00:00:00")
        assert (await node.pauses())["*"] == lasting
        assert (await node.pauses())["job-2"].until == 5


@pytest.mark.parametrize("operator", [{"x": 1}, [], "a b", "\x1b[2J", "x" * 65])
async def test_operator_that_is_no_account_is_refused(operator: Any) -> None:
    async with telling(lambda _: operator) as node:
        with pytest.raises(ForeignRecord):
            await node.operators()
