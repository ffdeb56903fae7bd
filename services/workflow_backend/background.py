"""Work that goes on in the background for as long as a block runs."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine

from .errors import WorkflowError

log = logging.getLogger(__name__)


class BackgroundFailed(WorkflowError):
    """A part of this service failed."""

    hint = "its log tells how; its manager starts the service anew"


@contextlib.asynccontextmanager
async def background(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """Begin it, and end it with the block.

    A service of which a part is dead looks well and does half of its work. So where the work fails,
    that is logged at once, the block is cancelled and BackgroundFailed raised.
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
        # Nobody else cancels it: that it is cancelled is a fault in it like any other.
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
        if task.done():  # perhaps a moment ago, and the block was over before it heard
            ended(task)
        if failed:
            block.uncancel()
            raise failure
    finally:
        ending = True
        task.cancel()
        await asyncio.wait([task])
