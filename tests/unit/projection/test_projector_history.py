"""The projector waits for commits and stops at another history of the chain."""

import pytest

from workflow_backend.errors import (
    HistoryDiverged,
    IndexUnavailable,
)
from workflow_backend.store.sqlite import SqliteStore

from .fake_index import Chain, projector


async def test_projector_waits_for_commit(store: SqliteStore) -> None:
    """The index knows a block before the state: its item's record is still the one before."""
    chain = Chain()
    chain.block([("a", 1)], indexed=True)
    chain.uncommitted_block([("a", 1), ("b", 1)], indexed=True)
    runner = projector(chain, store, page=5)
    await runner.run(until_caught_up=True)
    assert (await store.progress()).last_event_id == "1-0-0"
    assert (await store.progress()).height == 1
    chain.commit()
    await runner.run(until_caught_up=True)
    assert (await store.item("a") or {})["status"] == "processing"
    assert (await store.counts())["submitted"] == 1


async def test_projector_refuses_diverged_history(store: SqliteStore) -> None:
    """A home was restored to an older block, and the chain has grown over the cursor since."""
    chain = Chain()
    for _ in range(2):
        chain.block([("a", 1)], indexed=True)
    await projector(chain, store, page=5).run(until_caught_up=True)
    chain.history = "b"
    for item_id in ("b", "c"):
        chain.block([(item_id, 1)], indexed=True)
    runner = projector(chain, store, page=5)
    for _ in range(2):
        with pytest.RaisesGroup(pytest.RaisesExc(HistoryDiverged, match="block 2 is b2")):
            await runner.run(until_caught_up=True)
    assert (await store.progress()).last_event_id == "2-0-0"
    chain.history = "a"  # the right home is back
    await runner.run(until_caught_up=True)
    assert (await store.counts())["submitted"] == 2


async def test_projector_names_missing_block(store: SqliteStore) -> None:
    """An older block that nobody has is not one that is about to be committed."""
    chain = Chain()
    for _ in range(4):
        chain.block([("a", 1)], indexed=True)
    chain.lost = {2}
    with pytest.RaisesGroup(pytest.RaisesExc(IndexUnavailable, match="has the blocks 2 and 3")):
        await projector(chain, store, page=5).run(until_caught_up=True)
    chain.lost = {1}
    with pytest.RaisesGroup(pytest.RaisesExc(IndexUnavailable, match="has the blocks 1 and 2")):
        await projector(chain, store, page=5).run(until_caught_up=True)


async def test_projector_detects_divergence_without_events(store: SqliteStore) -> None:
    chain = Chain()
    chain.block([("a", 1)], indexed=True)
    runner = projector(chain, store, page=5)
    await runner.run(until_caught_up=True)
    chain.history = "b"
    chain.indexed += 1  # a block of others
    with pytest.RaisesGroup(HistoryDiverged):
        await runner.run(until_caught_up=True)
