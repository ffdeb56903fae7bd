"""Fixtures: a queue with two workers for each module, and none of them running between tests."""

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from node_harness import Node

from ..stack import FIRST, deploy
from .harness import Queue, requesting, worker_of


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    request: pytest.FixtureRequest, node: Node, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Queue]:
    """The version of the contract is the module's `VERSION`, or the first."""
    version = getattr(request.module, "VERSION", FIRST)
    name = f"con_{uuid.uuid4().hex[:12]}"
    first, second = (worker_of(node, name, tmp_path_factory.mktemp(w)) for w in ("one", "two"))
    await deploy(node, name, [first.worker, second.worker], version)
    async with requesting(node, name) as (reader, submitter):
        yield Queue(node, reader, submitter, (first, second))


@pytest_asyncio.fixture(loop_scope="module")
async def queue(shared: Queue) -> AsyncIterator[Queue]:
    """The queue, with no worker running before and after."""
    yield shared
    for worker in shared.workers:
        worker.end_all()
    for gate in shared.gates:
        gate.touch()
