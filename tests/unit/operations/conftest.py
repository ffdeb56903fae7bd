"""A node for the tests of operations."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from .fake_node import FakeNode


@pytest.fixture
async def node() -> AsyncIterator[FakeNode]:
    node = FakeNode()
    application = web.Application()
    application.router.add_post("/", node.rpc)
    application.router.add_get("/health", node.api)
    async with TestServer(application) as server:
        node.url = str(server.make_url("")).rstrip("/")
        yield node
        node.thawed.set()
