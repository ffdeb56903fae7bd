"""Entries of one turn of the event loop are flushed together."""

import asyncio

from workflow_backend.tick_batcher import TickBatcher


async def test_batcher_flushes_the_entries_of_a_tick_at_once_and_in_order() -> None:
    flushed: list[list[int]] = []
    batcher = TickBatcher[int](lambda entries: flushed.append(list(entries)))
    await asyncio.gather(batcher.add(1), batcher.add(2), batcher.add(3))
    await batcher.add(4)
    assert flushed == [[1, 2, 3], [4]]


async def test_batcher_tells_everybody_of_a_failure() -> None:
    def fail(_: object) -> None:
        raise OSError("disk full")

    batcher = TickBatcher[int](fail)
    results = await asyncio.gather(batcher.add(1), batcher.add(2), return_exceptions=True)
    assert [str(error) for error in results] == ["disk full"] * 2
