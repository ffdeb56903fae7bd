"""A stop, and clients that go: whatever waits hears of it."""

import asyncio
import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_backend.api import server
from workflow_backend.api.waiting import Waiting
from workflow_backend.items import Block, Item
from workflow_backend.pulse import Pulse
from workflow_backend.settings import Settings

from .conftest import fake_backend
from .serving import Served, answer, detail, serving

ITEM = Item(
    item_id="a",
    requester="0" * 64,
    kind="job",
    payload_uri="uri:a",
    metadata_ref="",
    client="",
    status="submitted",
    worker=None,
    result_uri=None,
    failure_reason=None,
    created_at="2026-01-01 00:00:00",
    updated_at="2026-01-01 00:00:00",
    attempt=0,
    lease_seconds=0,
    contested_at=None,
)
WAIT = b"GET /items/a?wait=completed&timeout=300 HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Node:
    """A node with one item that is never settled; `looked` counts the looks of waiters."""

    def __init__(self) -> None:
        self.looked = 0
        self.asked = asyncio.Event()

    async def item(self, _: str) -> Item:
        return ITEM

    async def items(self, ids: Sequence[str]) -> list[Item]:
        self.looked += 1
        self.asked.set()
        return [ITEM for _ in ids]


class Heads:
    async def wait(self, _: float) -> bool:
        await asyncio.sleep(0.01)
        return True


class Store:
    async def item(self, _: str) -> None:
        return None

    async def block_in_which_it_was(self, contract_time: str) -> Block:
        return Block(1, "AB", contract_time, contract_time)

    async def events(self, *_: Any) -> Any:
        return SimpleNamespace(rows=[])


def _open(node: Any, waiting: Any = None) -> Any:
    settings = Settings.load({"XIAN_CHAIN_ID": "chain-1"})
    return serving(fake_backend(settings, node=node, waiting=waiting, store=Store()))


async def test_stop_answers_those_who_wait_with_the_item_as_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    node: Any = Node()
    heads: Any = Heads()
    async with (
        Waiting(node, heads, Pulse("waiting")).looking() as waiting,
        _open(node, waiting) as served,
    ):
        reader, writer = await served.connect()
        writer.write(WAIT)
        await node.asked.wait()
        await asyncio.wait_for(served.ended(), server.GRACE_SECONDS / 2)
        status, _, body = await answer(reader)
        assert (status, b'"submitted"' in body) == (200, True)
        writer.close()
    assert [row for row in caplog.records if row.levelno >= logging.ERROR] == []


async def test_waiting_ends_with_its_client() -> None:
    node: Any = Node()
    heads: Any = Heads()
    async with (
        Waiting(node, heads, Pulse("waiting")).looking() as waiting,
        _open(node, waiting) as served,
    ):
        _, writer = await served.connect()
        writer.write(WAIT)
        await node.asked.wait()
        writer.transport.abort()
        async with asyncio.timeout(20):
            while waiting._waiting:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_stop_breaks_off_what_takes_too_long_with_a_503(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "GRACE_SECONDS", 0.2)
    asked = asyncio.Event()

    async def item(_: str) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with _open(SimpleNamespace(item=item)) as served:
        reader, writer = await served.connect()
        writer.write(b"GET /items/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asked.wait()
        await served.ended()
        status, headers, body = await answer(reader)
        assert (status, headers["retry-after"]) == (503, "2")
        assert "the API stops" in detail(body)
        writer.close()
    assert [row for row in caplog.records if row.exc_info] == []


async def test_stop_does_not_wait_for_a_request_that_is_not_whole() -> None:
    async with _open(Node()) as served:
        reader, writer = await _half_posted(served)
        await asyncio.wait_for(served.ended(), server.GRACE_SECONDS / 2)
        assert (await answer(reader))[0] == 503
        writer.close()


async def _half_posted(served: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await served.connect()
    writer.write(
        b"POST /items HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n"
    )
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    return reader, writer
