"""A projection that lags in time."""

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from workflow_backend.api import health, lag, once
from workflow_backend.api.app import create_app
from workflow_backend.api.lag import ProjectionLag
from workflow_backend.settings import Settings
from workflow_backend.store.base import Position

from .conftest import fake_backend


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(lag, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_lag_counts_from_the_first_block_that_is_missing(clock: Clock) -> None:
    projection = ProjectionLag()
    assert projection.seconds(0) == 0.0
    for height in (5, 6, 7):
        projection.arrived(height)
        clock.now += 10
    assert [projection.seconds(height) for height in (4, 5, 6, 7)] == [30, 20, 10, 0]
    projection.arrived(8)
    clock.now += 3
    assert projection.seconds(7) == 3
    assert projection.seconds(8) == 0


def test_lag_starts_anew_with_a_chain_that_was_restored(clock: Clock) -> None:
    projection = ProjectionLag()
    projection.arrived(500)
    clock.now += 10
    projection.arrived(300)
    clock.now += 5
    assert projection.seconds(299) == 5
    assert projection.seconds(300) == 0


def test_lag_of_a_day_is_kept_in_little(clock: Clock) -> None:
    projection = ProjectionLag()
    for height in range(2, 86_400, 2):
        projection.arrived(height)
        clock.now += 2
    assert projection.seconds(1) == pytest.approx(86_400, abs=4)
    assert len(projection._arrivals) == lag.REMEMBERED


async def test_lag_hears_of_blocks_from_the_chain() -> None:
    came = asyncio.Event()

    async def wait(_: float) -> bool:
        if came.is_set():
            await asyncio.Event().wait()
        came.set()
        return True

    heads: Any = SimpleNamespace(wait=wait, height=7)
    async with ProjectionLag().watching(heads) as projection:
        await came.wait()
        await asyncio.sleep(0)
        assert projection.seconds(6) > 0
        assert projection.seconds(7) == 0


class Node:
    async def require_chain(self, _: str) -> Any:
        return SimpleNamespace(height=11)

    async def indexed_height(self) -> int:
        return 11


class Store:
    async def position(self) -> Position:
        return Position("chain-1", "con_job_workflow", 10, None)


async def test_health_is_red_while_one_block_is_missing_for_long(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "KEPT_SECONDS", -1.0)
    settings = Settings.load({"XIAN_CHAIN_ID": "chain-1"})
    projection = ProjectionLag()
    backend = fake_backend(settings, node=Node(), store=Store(), lag=projection)
    transport = httpx.ASGITransport(create_app(backend))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        projection.arrived(11)
        clock.now += health.LAG_SECONDS - 1
        assert (await client.get("/health/ready")).status_code == 200
        assert (await client.get("/projection/health")).json()["healthy"] is True
        clock.now += 10
        refused = await client.get("/health/ready")
        assert (refused.status_code, "see the projector" in refused.text) == (503, True)
        assert (await client.get("/health")).json()["status"] == "degraded"
        told = (await client.get("/projection/health")).json()
        assert (told["healthy"], told["lag"], told["lag_seconds"]) == (False, 1, 39.0)
