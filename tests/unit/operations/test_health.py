"""Health and status: an app that is frozen, a host without services, a node with a long way."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from workflow_backend.operations import health, judge
from workflow_backend.operations import status as status_module
from workflow_backend.operations.health import Found
from workflow_backend.operations.judge import Check, State
from workflow_backend.settings import Settings

STATUS = {
    "node_info": {"network": "net-1", "id": "ab" * 20},
    "sync_info": {
        "latest_block_height": "7",
        "latest_block_time": "2026-01-01T11:00:00Z",
        "earliest_block_height": "1",
        "catching_up": False,
    },
}


@dataclass
class Node:
    """Answers as CometBFT does; what goes to its app is never answered while that is frozen."""

    frozen: bool = False
    url: str = ""
    asked: list[str] = field(default_factory=list)
    thawed: asyncio.Event = field(default_factory=asyncio.Event)

    async def rpc(self, request: web.Request) -> web.Response:
        asked = await request.json()
        method = asked["method"]
        self.asked.append(method)
        if method.startswith("abci") and self.frozen:
            await self.thawed.wait()
        found: dict[str, Any] = {
            "status": STATUS,
            "num_unconfirmed_txs": {"n_txs": "0"},
            "abci_info": {"response": {}},
        }
        result = found.get(method, {"response": {"code": 0, "value": None}})
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "result": result})

    async def api(self, _: web.Request) -> web.Response:
        """An API that asks the node first, as ours does."""
        await self.thawed.wait()
        return web.json_response({})


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node()
    application = web.Application()
    application.router.add_post("/", node.rpc)
    application.router.add_get("/health", node.api)
    async with TestServer(application) as server:
        node.url = str(server.make_url("")).rstrip("/")
        yield node
        node.thawed.set()


def settings(node: Node, **more: str) -> Settings:
    return Settings.load(
        {
            "XIAN_NODE_URL": node.url,
            "XIAN_CHAIN_ID": "net-1",
            "XIAN_WORKFLOW_INDEX": "no",
            **more,
        }
    )


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


async def test_frozen_app_is_named_and_nothing_else_is_blamed(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.3)
    node.frozen = True
    watched = settings(node, XIAN_WORKFLOW_API_URL=node.url)
    found = by_name((await health.check_health(watched)).checks)
    assert found["node"].state == State.FAILED
    assert "its app does not answer in 0.3 s, CometBFT does" in found["node"].what
    assert "restart.yml" in found["node"].hint
    for name in ("blocks", "contract", "api /health"):
        assert (found[name].state, found[name].what) == (State.UNKNOWN, "see the node")
    assert node.asked == ["status", "abci_info"]  # it is waited for once


async def test_api_that_does_not_answer_beside_a_living_app_is_blamed(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.3)
    watched = settings(node, XIAN_WORKFLOW_API_URL=node.url)
    found = by_name((await health.check_health(watched)).checks)
    assert found["node"].state == State.OK
    assert found["api /health"].state == State.FAILED


async def test_host_without_services_has_its_disks_looked_at(node: Node, tmp_path: Path) -> None:
    disks = f"node={tmp_path},index={tmp_path}/later,proc=/proc"
    checks = (await health.check_health(settings(node, XIAN_WORKFLOW_DISKS=disks))).checks
    data, proc = (check for check in checks if check.name == "disk")
    assert "(node, index)" in data.what
    assert "/proc (proc)" in proc.what


async def test_contract_is_looked_for_where_anybody_works(node: Node) -> None:
    def names(found: Found) -> list[str]:
        return [check.name for check in found.checks]

    nobody = settings(node, XIAN_WORKFLOW_SERVICES="")
    assert names(await health.check_health(nobody)) == ["node", "blocks"]
    for somebody in (
        settings(node),
        settings(node, XIAN_WORKFLOW_SERVICES="", XIAN_WORKFLOW_WORKERS="ab" * 32),
    ):
        assert "contract" in names(await health.check_health(somebody))


class Looks:
    """What health finds, look by look; the last one again and again."""

    def __init__(self, *found: Found) -> None:
        self._found = list(found)
        self.taken = 0

    async def __call__(self, _: Settings) -> Found:
        self.taken += 1
        return self._found.pop(0) if len(self._found) > 1 else self._found[0]


BEHIND = [Check("node", State.FAILED, "it is catching up")]
WELL = [Check("node", State.OK, "fine")]


async def test_a_node_that_catches_up_is_waited_for_as_long_as_it_comes_on(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(health, "POLL_SECONDS", 0)
    monkeypatch.setattr(health, "_now", lambda: now)
    looks = Looks(*(Found(BEHIND, height) for height in range(1, 50)), Found(WELL))

    async def look(wanted: Settings) -> Found:
        nonlocal now
        now += 5  # 250 s altogether
        return await looks(wanted)

    assert await health.wait_for_health(settings(node), 10, look) == WELL
    looks = Looks(Found(BEHIND, 7))
    assert await health.wait_for_health(settings(node), 10, look) == BEHIND
    assert looks.taken <= 4
    looks = Looks(Found(BEHIND, None))  # what is wrong for another reason has its time alone
    assert await health.wait_for_health(settings(node), 10, look) == BEHIND
    assert looks.taken <= 3


async def test_status_tells_what_the_host_has_and_no_more(node: Node, tmp_path: Path) -> None:
    found = await status_module.status(settings(node))
    assert set(found) == {"chain"}
    beat = tmp_path / "processor.heartbeat.json"
    beat.write_text('{"service": "processor", "pid": 7, "at": 1764427334.43035, "claimed": 2}')
    (tmp_path / "api.heartbeat.json").symlink_to(beat)
    services = f"processor={tmp_path},projector={tmp_path},api={tmp_path}"
    more = {
        "XIAN_WORKFLOW_SERVICES": services,
        "XIAN_WORKFLOW_INDEX": "yes",
        "XIAN_WORKFLOW_API_URL": "http://127.0.0.1:9",
    }
    found = await status_module.status(settings(node, **more))
    assert set(found) == {"chain", "index", "items", "services"}
    told = found["services"]
    assert (told["processor"]["at"], told["processor"]["claimed"]) == ("2025-11-29T14:42:14Z", 2)
    assert "it has no heartbeat" in told["projector"]["problem"]
    assert "can't be read" in told["api"]["problem"]


async def test_status_does_not_wait_for_a_frozen_app(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_module, "ANSWER_SECONDS", 0.2)
    node.frozen = True
    found = await status_module.status(settings(node, XIAN_WORKFLOW_INDEX="yes"))
    assert found["chain"]["height"] == 7
    assert found["index"] == {"problem": "no answer in 0.2 s"}


async def test_status_says_so_where_an_answer_can_not_be_read(node: Node) -> None:
    node.thawed.set()  # its API answers {}
    more = {"XIAN_WORKFLOW_API_URL": node.url, "XIAN_WORKFLOW_INDEX": "yes"}
    found = await status_module.status(settings(node, **more))
    assert "its answer can't be read: KeyError" in found["items"]["problem"]


@pytest.mark.parametrize(
    "what",
    [
        *("pipe", "link", "large", "deep", "[]", '{"pid": 1, "at": 1e300}'),
        *(
            f'{{"pid": 1, "at": 1, {odd}}}'
            for odd in (
                '"problem": [1]',
                '"warning": {}',
                '"height": "9"',
                '"unhandled": "x"',
                '"unhandled": {"job": [1]}',
                '"compared": {"rounds": "x"}',
            )
        ),
    ],
)
async def test_what_a_service_left_in_place_of_its_heartbeat_is_named(
    node: Node, tmp_path: Path, what: str
) -> None:
    file = tmp_path / "processor.heartbeat.json"
    if what == "pipe":
        os.mkfifo(file)
    elif what == "link":
        file.symlink_to("/etc/passwd")
    else:
        text = {"large": '{"pid": 1, "at": 1, "x": "' + "x" * 70_000 + '"}', "deep": "[" * 60_000}
        file.write_text(text.get(what, what))
    watched = settings(node, XIAN_WORKFLOW_SERVICES=f"processor={tmp_path}")
    began = time.monotonic()
    found = by_name((await health.check_health(watched)).checks)["processor"]
    assert found.state == State.FAILED
    assert "is no heartbeat" in found.what or "heartbeat can't be read" in found.what
    assert time.monotonic() - began < 30  # a hang is a failure
    assert judge.table([found])


async def test_health_tells_its_time_as_the_api_tells_times(node: Node) -> None:
    told = health.as_json(settings(node), [])
    assert told["checked_at"].endswith("Z")
    assert datetime.fromisoformat(told["checked_at"]).tzinfo is not None
