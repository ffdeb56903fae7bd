"""Background tasks that live as long as a block of code."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine

from .errors import WorkflowError

log = logging.getLogger(__name__)


class BackgroundFailed(WorkflowError):
    """A part of this service failed."""

    hint = "see its log; its manager restarts the service"


@contextlib.asynccontextmanager
async def background(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """Run `work` as a task named `name` until the block ends, then cancel it.

    A service with a dead part looks healthy but does only half of its work. So a failure is logged
    at once, the block is cancelled, and BackgroundFailed is raised.
    """
    block = asyncio.current_task()
    if block is None:
        raise RuntimeError("background work needs a task to run beside")
    before = block.cancelling()
    failed = ending = False

    def ended(task: asyncio.Task[None]) -> None:
        nonlocal failed
        if ending or failed:
            return
        # Nobody else cancels the task: a cancellation is a failure like any other.
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            log.error("%s ended by an unexpected error", name, exc_info=error)
            failed = True
            block.cancel()

    task = asyncio.create_task(work, name=name)
    task.add_done_callback(ended)
    failure = BackgroundFailed(f"{name} ended by an unexpected error")
    try:
        yield
    except asyncio.CancelledError as error:
        if failed and block.uncancel() <= before:
            raise failure from error
        raise
    else:
        if task.done():  # the callback may not have run yet
            ended(task)
        if failed:
            block.uncancel()
            raise failure
    finally:
        ending = True
        task.cancel()
        await asyncio.wait([task])
