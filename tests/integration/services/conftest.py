"""Fixtures: the services on the session's node, for each module with a contract of its own."""

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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(node: Node, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """All services, up; a test that ends one starts it again."""
    async with fresh_stack(node, tmp_path_factory.mktemp("running")) as stack:
        stack.start("projector", "handlers", "processor", "api")
        await stack.ready()
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(node: Node, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """API and projector without a processor: items stay as they were submitted."""
    async with fresh_stack(node, tmp_path_factory.mktemp("api")) as stack:
        stack.start("projector", "api")
        await stack.ready()
        yield stack
