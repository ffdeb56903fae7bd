"""Fixtures: the services on the session's node, each module with a contract of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from node_harness import Node

from .stack import Stack, fresh_stack


@pytest.fixture
async def stack(node: Node, tmp_path: Path) -> AsyncIterator[Stack]:
    """A fresh contract and services that are not started yet."""
    async with fresh_stack(node, tmp_path) as stack:
        yield stack


@pytest.fixture
async def running(stack: Stack) -> Stack:
    """The same with all three services up."""
    stack.start("projector", "processor", "api")
    await stack.ready()
    return stack


@pytest.fixture
async def api(stack: Stack) -> Stack:
    """API and projector without a processor: items stay as they were submitted."""
    stack.start("projector", "api")
    await stack.ready()
    return stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api_of_module(
    node: Node, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """The same for a whole module, for requests that change nothing."""
    async with fresh_stack(node, tmp_path_factory.mktemp("api")) as stack:
        stack.start("projector", "api")
        await stack.ready()
        yield stack
