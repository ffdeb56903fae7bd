"""A handlers' process for each test, or one for all tests of a module."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from workflow_backend.processor.handler_client import HandlerClient

from .harness import FILE, Handlers


def ended(handlers: Handlers) -> None:
    if handlers.process is not None and handlers.process.poll() is None:
        handlers.process.kill()
        handlers.process.wait(20)


@pytest.fixture
def handlers(tmp_path: Path) -> Iterator[Handlers]:
    """A process that a test starts and ends as it likes."""
    handlers = Handlers(tmp_path)
    yield handlers
    ended(handlers)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handlers]:
    """A process with every handler of the file, for tests that leave it alone."""
    handlers = Handlers(tmp_path_factory.mktemp("handlers"))
    handlers.start(FILE)
    yield handlers
    ended(handlers)


@pytest.fixture
async def client(running: Handlers) -> AsyncIterator[HandlerClient]:
    """A connection to the process with every handler of the file."""
    running.progress.clear()
    async with HandlerClient(running.socket, asyncio.Event()).running() as client:
        # So that no test's time limit includes the start of the process.
        await client.run(running.job("job", "first"), 60)
        yield client
