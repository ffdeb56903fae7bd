"""A host for the tests of a module."""

from collections.abc import Iterator

import pytest
from node_harness import running_node

from .host import Host, ready


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A host with five items; a test that stops its node starts it again."""
    with running_node("recovery-1") as node:
        yield ready(node, 5)
