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

    A service with a dead part looks healthy but does only half of its work. So the block is
    cancelled at once. A WorkflowError is raised as it is, because it tells people what to do. Any
    other failure is logged with its trace, and BackgroundFailed is raised.
    """
    block = asyncio.current_task()
    if block is None:
        raise RuntimeError("background work needs a task to run beside")
    before = block.cancelling()
    failure: WorkflowError | None = None
    ending = False

    def ended(task: asyncio.Task[None]) -> None:
        nonlocal failure
        if not ending and not failure and (failure := _failure_of(task)):
            block.cancel()

    task = asyncio.create_task(work, name=name)
    task.add_done_callback(ended)
    try:
        yield
    except asyncio.CancelledError as error:
        if failure and block.uncancel() <= before:
            raise failure from error
        raise
    else:
        if task.done():  # the callback may not have run yet
            ended(task)
        if failure:
            block.uncancel()
            raise failure
    finally:
        ending = True
        task.cancel()
        await asyncio.wait([task])


def _failure_of(task: asyncio.Task[None]) -> WorkflowError | None:
    # Nobody else cancels the task: a cancellation is a failure like any other.
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if error is None or isinstance(error, WorkflowError):
        return error
    what = f"{task.get_name()} ended by an unexpected error"
    log.error(what, exc_info=error)
    return BackgroundFailed(what)
