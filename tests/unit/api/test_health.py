"""Health: what it checks, how often, and whom it tells what."""

import asyncio
import pathlib
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from workflow_backend.api import cached, health, lag, tokens
from workflow_backend.api.app import create_app
from workflow_backend.api.lag import ProjectionLag
from workflow_backend.settings import Settings
from workflow_backend.store.base import ProjectionProgress

from .conftest import Open, Store, fake_backend


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(lag, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class CountingNode:
    def __init__(self) -> None:
        self.asked = 0

    async def require_chain(self, _: str) -> Any:
        self.asked += 1
        await asyncio.sleep(0)
        return SimpleNamespace(height=1, catching_up=False)

    async def indexed_height(self) -> int:
        return 1


async def test_health_asks_once_for_all_who_ask() -> None:
    node = CountingNode()
    settings = Settings.load({"XIAN_CHAIN_ID": "chain-1"})
    transport = httpx.ASGITransport(create_app(fake_backend(settings, node=node, store=Store())))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        paths = ("/health", "/health/ready") * 20
        answers = await asyncio.gather(*(client.get(path) for path in paths))
    assert {answer.status_code for answer in answers} == {200}
    assert node.asked <= 2


class Node:
    async def require_chain(self, _: str) -> Any:
        return SimpleNamespace(height=11, catching_up=False)

    async def indexed_height(self) -> int:
        return 11


class Behind(Store):
    async def progress(self) -> ProjectionProgress:
        return ProjectionProgress("chain-1", "con_job_workflow", 10, None)


async def test_health_is_red_while_one_block_is_missing_for_long(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached, "CACHE_SECONDS", -1.0)
    settings = Settings.load({"XIAN_CHAIN_ID": "chain-1"})
    projection = ProjectionLag()
    backend = fake_backend(settings, node=Node(), store=Behind(), lag=projection)
    transport = httpx.ASGITransport(create_app(backend))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        projection.record_block(11)
        clock.now += health.LAG_SECONDS - 1
        assert (await client.get("/health/ready")).status_code == 200
        assert (await client.get("/projection/health")).json()["healthy"] is True
        clock.now += 10
        refused = await client.get("/health/ready")
        assert (refused.status_code, "see the projector" in refused.text) == (503, True)
        assert (await client.get("/health")).json()["status"] == "degraded"
        answer = (await client.get("/projection/health")).json()
        assert (answer["healthy"], answer["lag"], answer["lag_seconds"]) == (False, 1, 39.0)


async def test_health_counts_items_only_without_tokens(api: Open, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "tokens.json"
    tokens.add(file, "reader", ["read"])
    for client, count in ((api(), 0), (api(tokens=file), None)):
        projection = (await client.get("/health")).json()["projection"]
        assert (projection["item_count"], projection["activity_count"]) == (count, count)
