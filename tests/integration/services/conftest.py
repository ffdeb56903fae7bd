"""Fixtures: the services on the session's node, each module with a contract of its own."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .stack import Stack, deploy


@pytest.fixture
async def stack(node, tmp_path: Path) -> AsyncIterator[Stack]:
    """A fresh contract and services that are not started yet."""
    contract = f"con_{uuid.uuid4().hex[:12]}"
    stack = Stack(node.url, node.chain_id, contract, tmp_path)
    await deploy(node.url, node.chain_id, node.operator_key, contract, [stack.worker])
    yield stack
    stack.end_all()


@pytest.fixture
async def running(stack: Stack) -> Stack:
    """The same with all three services up."""
    stack.start("projector", "processor", "api")
    await stack.ready()
    return stack
