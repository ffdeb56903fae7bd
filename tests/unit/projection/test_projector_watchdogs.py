"""What the watchdogs of the projector's loops report."""

import asyncio
from contextlib import suppress

import pytest

from workflow_backend.errors import (
    ProjectionUnavailable,
)
from workflow_backend.store.base import Change
from workflow_backend.store.sqlite import SqliteStore
from workflow_backend.watchdog import LoopWatchdog

from .fake_index import Chain, projector


async def test_projection_outage_is_no_stalled_loop(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Chain()
    chain.block([("a", 1)], indexed=True)
    runner = projector(chain, store, page=5)
    watchdogs = runner._reading, runner._loading, runner._writing, runner._backfilling
    for watchdog in watchdogs:
        watchdog._limit = 0.0

    async def fail(*_: object) -> None:
        raise ProjectionUnavailable("the database is away")

    monkeypatch.setattr(store, "apply", fail)
    with pytest.RaisesGroup(ProjectionUnavailable):
        await runner.run()
    assert runner._writing.stalled_seconds > 0
    monkeypatch.setattr(store, "positions_without_blocks", fail)
    monkeypatch.setattr(store, "cursor", fail)
    with suppress(ProjectionUnavailable):
        await runner.run()
    assert [watchdog.stalled_seconds for watchdog in watchdogs] == [0.0] * 4


async def test_endless_write_is_a_stalled_loop(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watchdog tells a projector that hangs from one that has nothing to do."""
    chain = Chain()
    runner = projector(chain, store, page=5)
    runner._loading, runner._writing = LoopWatchdog("loading", 0.0), LoopWatchdog("writing", 0.0)
    await runner.run(until_caught_up=True)
    hanging = asyncio.Event()

    async def never(_: Change) -> None:
        hanging.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(store, "apply", never)
    running = asyncio.create_task(runner.run())
    await asyncio.wait_for(hanging.wait(), 20)
    await asyncio.sleep(0.05)
    assert runner._writing.stalled_seconds > 0
    assert runner._loading.stalled_seconds == 0
    running.cancel()
    await asyncio.wait({running})
