"""Work beside a block: it ends with the block, and does not fail in silence."""

import asyncio

import pytest

from workflow_backend.background import background


async def test_it_runs_while_the_block_does() -> None:
    ran: list[str] = []
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ran.append("ended")

    async def block() -> None:
        async with background(work(), "work"):
            await begun.wait()
            assert ran == []
            raise ValueError("of the block")

    with pytest.raises(ValueError, match="of the block"):
        await block()
    assert ran == ["ended"]


async def test_its_failure_is_logged_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        raise KeyError("lost")

    async with background(work(), "the work"):
        for _ in range(3):  # the work, then what it leaves
            await asyncio.sleep(0)
        (record,) = caplog.records
        assert record.getMessage() == "the work ended by an unexpected error"
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], KeyError)


async def test_what_has_ended_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with background(asyncio.sleep(0), "over before the block"):
        for _ in range(3):
            await asyncio.sleep(0)
    async with background(asyncio.sleep(60), "not begun"):
        pass
    assert caplog.records == []
