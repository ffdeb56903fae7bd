"""The live stream at the real server: how many, how it ends, how it breaks."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_backend.api import stream as stream_module
from workflow_backend.api.backend import Backend
from workflow_backend.api.feed import EventFeed
from workflow_backend.items import Block, EventPosition
from workflow_backend.settings import Settings

from .conftest import fake_backend
from .serving import Served, answer, serving
from .test_feed import Store

ASK = b"GET /stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n"


@contextlib.asynccontextmanager
async def _open(store: Store) -> AsyncIterator[tuple[Served, Backend]]:
    settings = Settings.load({"XIAN_CHAIN_ID": "chain-1"})
    stopping = asyncio.Event()
    feed = EventFeed(store, lambda: 0.0)  # type: ignore[arg-type]
    backend = fake_backend(settings, store=store, feed=feed, stopping=stopping)
    async with feed.following(stopping), serving(backend) as served:
        yield served, backend


async def _until(reader: asyncio.StreamReader, text: bytes) -> bytes:
    return await asyncio.wait_for(reader.readuntil(text), 20)


async def test_stream_counts_those_of_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "MAX_STREAMS_PER_CLIENT", 2)
    async with _open(Store(1)) as (served, backend):
        opened = [await served.connect() for _ in range(2)]
        for reader, writer in opened:
            writer.write(ASK)
            await _until(reader, b"id: 0-0-0")
        reader, writer = await served.connect()
        writer.write(ASK)
        status, headers, _ = await answer(reader)
        assert (status, headers["retry-after"]) == (429, "2")
        for _, other in opened:
            other.transport.abort()
        async with asyncio.timeout(20):
            while backend.open_streams:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        writer.write(ASK)
        await _until(reader, b"id: 0-0-0")
        writer.close()


async def test_stream_ends_with_the_api() -> None:
    async with _open(Store(1)) as (served, _):
        reader, writer = await served.connect()
        writer.write(ASK)
        await _until(reader, b"id: 0-0-0")
        await asyncio.wait_for(served.ended(), 5)
        assert (await reader.read()).endswith(b"0\r\n\r\n")  # in order: the client comes back
        writer.close()


async def test_stream_that_can_t_go_on_ends_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store(1)
    async with _open(store) as (served, _):
        reader, writer = await served.connect()
        writer.write(ASK)
        await _until(reader, b"id: 0-0-0")
        store.away = True
        await _until(reader, b"\r\n0\r\n\r\n")
        writer.close()
    assert [row for row in caplog.records if row.levelno >= logging.ERROR or row.exc_info] == []


async def test_stream_that_nobody_reads_costs_no_memory() -> None:
    store: Any = Store(10**9)
    async with _open(store) as (served, _):
        _, writer = await served.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(ASK)
        async with asyncio.timeout(60):
            last = -1
            while last != len(store.asked):  # what sockets hold is full
                last = len(store.asked)
                await asyncio.sleep(0.5)
        assert last > 0
        writer.transport.abort()


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ("0", 200),
        ("7-0-0", 200),  # of an earlier release, or an activity's
        ("8-0-0", 422),
        (EventPosition(7, 0, 0).cursor("chain-1", "con_job_workflow", "AB"), 200),
        (
            EventPosition(9, 0, 0).cursor("chain-1", "con_job_workflow", "CD"),
            200,
        ),  # not projected yet
        (EventPosition(7, 0, 0).cursor("chain-2", "con_job_workflow", "AB"), 422),
        (EventPosition(7, 0, 0).cursor("chain-1", "con_other", "AB"), 422),
        (EventPosition(7, 0, 0).cursor("chain-1", "con_job_workflow", "EF"), 422),
        (EventPosition(99, 0, 0).cursor("chain-1", "con_job_workflow", "AB"), 422),
        ("7-0", 422),
        ("é", 422),
    ],
)
async def test_stream_begins_only_behind_what_is_of_its_chain(last: str, status: int) -> None:
    store: Any = Store(1)

    async def block(height: int) -> Block | None:
        return Block(7, "AB", "", "") if height == 7 else None

    async def has_event(position: EventPosition) -> bool:
        return position == EventPosition(7, 0, 0)

    async def committed(heights: set[int]) -> dict[int, Block]:
        return {height: Block(9, "CD", "", "") for height in heights if height == 9}

    store.block, store.has_event = block, has_event
    blocks = SimpleNamespace(committed=committed)
    backend = fake_backend(Settings.load({"XIAN_CHAIN_ID": "chain-1"}), store=store, blocks=blocks)
    async with serving(backend) as served:
        reader, writer = await served.connect()
        ask = f"GET /stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {last}\r\n\r\n"
        writer.write(ask.encode("latin-1"))
        head = await _until(reader, b"\r\n\r\n")
        assert int(head.split()[1]) == status
        writer.close()
        backend.stopping.set()
