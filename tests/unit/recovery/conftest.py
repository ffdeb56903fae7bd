"""Nodes of a chain, served for a test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from .fake_chain import Chain, Served

type Serve = Callable[..., dict[str, dict[str, str]]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve a chain by some of its hosts; returns the ways to them."""
    with ExitStack() as stack:

        def start(chain: Chain, *hosts: str) -> dict[str, dict[str, str]]:
            return {
                host: {"url": stack.enter_context(Served(chain, host)).url}
                for host in hosts or ("b", "c", "d")
            }

        yield start
