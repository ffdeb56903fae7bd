"""A projection that lags in time."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_backend.api import lag
from workflow_backend.api.lag import ProjectionLag


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
        projection.record_block(height)
        clock.now += 10
    assert [projection.seconds(height) for height in (4, 5, 6, 7)] == [30, 20, 10, 0]
    projection.record_block(8)
    clock.now += 3
    assert projection.seconds(7) == 3
    assert projection.seconds(8) == 0


def test_lag_starts_anew_with_a_chain_that_was_restored(clock: Clock) -> None:
    projection = ProjectionLag()
    projection.record_block(500)
    clock.now += 10
    projection.record_block(300)
    clock.now += 5
    assert projection.seconds(299) == 5
    assert projection.seconds(300) == 0


def test_lag_of_a_day_is_kept_in_little(clock: Clock) -> None:
    projection = ProjectionLag()
    for height in range(2, 86_400, 2):
        projection.record_block(height)
        clock.now += 2
    assert projection.seconds(1) == pytest.approx(86_400, abs=4)
    assert len(projection._arrivals) == lag.MAX_ARRIVALS


async def test_lag_hears_of_blocks_from_the_chain() -> None:
    came = asyncio.Event()

    async def wait(_: float) -> bool:
        if came.is_set():
            await asyncio.Event().wait()
        came.set()
        return True

    subscription: Any = SimpleNamespace(wait=wait, height=7)
    async with ProjectionLag().watching(subscription) as projection:
        await came.wait()
        await asyncio.sleep(0)
        assert projection.seconds(6) > 0
        assert projection.seconds(7) == 0
