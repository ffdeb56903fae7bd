"""Fixtures of the integration tests: a real node for all of them, and nodes of one's own."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from node_harness import Node, running_node
from toolchain_harness import Toolchain


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """The tools that the set-up made."""
    return Toolchain()


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """The node that all tests share; a test that kills a part of it starts it again."""
    with running_node("tests-1") as running:
        yield running


@pytest.fixture(scope="session")
def make_node() -> Callable[..., AbstractContextManager[Node]]:
    """Makes a node of one's own: `with make_node("chain-1", fee_mode="paid_metered") as node:`."""
    return running_node
