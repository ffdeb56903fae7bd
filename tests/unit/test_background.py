"""Work beside a block: it ends with the block, and its failure ends the block."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from workflow_backend.background import BackgroundFailed, background
from workflow_backend.errors import ForeignRecord


async def fail() -> None:
    raise KeyError("lost")


async def cancel_itself() -> None:
    raise asyncio.CancelledError


async def test_work_runs_while_the_block_does() -> None:
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


@pytest.mark.parametrize("work", [fail, cancel_itself])
async def test_failure_cancels_block_and_is_logged(
    work: Callable[[], Coroutine[None, None, None]], caplog: pytest.LogCaptureFixture
) -> None:
    async def block() -> None:
        async with background(asyncio.sleep(60), "other"), background(work(), "the work"):
            try:
                await asyncio.Event().wait()
            finally:
                (record,) = caplog.records
                assert record.getMessage() == "the work ended by an unexpected error"
                assert record.exc_info is not None

    with pytest.raises(BackgroundFailed, match="the work ended"):
        await block()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0, "the caller is not cancelled"


@pytest.mark.parametrize("wrapped", [False, True])
async def test_error_that_tells_what_to_do_is_raised_as_it_is(
    *, wrapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    said = ForeignRecord("another contract has this name")

    async def work() -> None:
        raise ExceptionGroup("tasks", [said]) if wrapped else said

    with pytest.raises(ForeignRecord) as raised:
        async with background(work(), "the work"):
            await asyncio.Event().wait()
    assert raised.value is said
    assert caplog.records == []


async def test_failure_reaches_outer_block() -> None:
    async def block() -> None:
        async with background(fail(), "the work"), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))

    with pytest.raises(BackgroundFailed):
        await block()


async def test_failure_counts_after_end_of_block() -> None:
    failed = asyncio.Event()

    async def work() -> None:
        failed.set()
        raise KeyError("lost")

    async def block() -> None:
        async with background(work(), "the work"):
            await failed.wait()

    with pytest.raises(BackgroundFailed):
        await block()


async def test_cancelled_block_stays_cancelled() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise KeyError("lost") from None

    async def block() -> None:
        async with background(work(), "the work"):
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_finished_work_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with background(asyncio.sleep(0), "over before the block"):
        for _ in range(3):
            await asyncio.sleep(0)
    async with background(asyncio.sleep(60), "not begun"):
        pass
    assert caplog.records == []
