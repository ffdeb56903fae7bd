"""One connection's bounds, tried with raw bytes against the real server."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_backend.api import connections, protocol, server
from workflow_backend.settings import Settings

from .conftest import fake_backend
from .serving import Served, answer, detail, serving

HEAD = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
LIVE = HEAD + b"\r\n"
POST = b"POST /items HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving(fake_backend(Settings.load({"XIAN_CHAIN_ID": "chain-1"}))) as running:
        yield running


async def _flood(writer: asyncio.StreamWriter, part: bytes, parts: int) -> int:
    """Send a part again and again; return how many parts went before the server hung up."""
    for sent in range(parts):
        try:
            writer.write(part)
            await writer.drain()
        except ConnectionError:
            return sent
    return parts


async def _is_closed(reader: asyncio.StreamReader) -> bool:
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 20)
    return True


@pytest.mark.parametrize(
    "begin",
    [HEAD + b"X-Long: ", b"GET /", HEAD + b"X-"],
    ids=["value", "address", "name"],
)
async def test_protocol_takes_no_head_without_end(served: Served, begin: bytes) -> None:
    reader, writer = await served.connect()
    writer.write(begin)
    assert await _flood(writer, b"a" * 65_536, 1_000) < 500  # what sockets hold, and no more
    writer.close()
    reader, writer = await served.connect()
    writer.write(begin + b"a" * (2 * protocol.HEAD_BYTES))
    status, _, body = await answer(reader)
    assert (status, f"{protocol.HEAD_BYTES} bytes" in detail(body)) == (431, True)
    writer.close()


async def test_protocol_takes_no_head_of_many_headers(served: Served) -> None:
    reader, writer = await served.connect()
    writer.write(HEAD + b"A: b\r\n" * 20_000 + b"\r\n")
    assert (await answer(reader))[0] == 431
    writer.close()


async def test_protocol_bounds_what_stands_beside_a_body(served: Served) -> None:
    for part in (b"1;" + b"x" * 65_536, b"0\r\nX-Trailer: " + b"x" * 65_536):
        _, writer = await served.connect()
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n" + part)
        assert await _flood(writer, b"x" * 65_536, 1_000) < 500
        writer.close()


async def test_protocol_answers_what_is_no_http(served: Served) -> None:
    reader, writer = await served.connect()
    writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
    status, headers, _ = await answer(reader)
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    writer.close()


async def test_protocol_answers_requests_that_were_sent_at_once_in_their_order(
    served: Served,
) -> None:
    reader, writer = await served.connect()
    writer.write((LIVE + LIVE.replace(b"/health/live", b"/nowhere")) * 8)
    assert [(await answer(reader))[0] for _ in range(16)] == [200, 404] * 8
    writer.close()


async def test_protocol_answers_what_stands_behind_a_refused_upgrade(served: Served) -> None:
    reader, writer = await served.connect()
    upgrade = HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    writer.write(upgrade + LIVE.replace(b"/health/live", b"/nowhere") + upgrade + LIVE)
    assert [(await answer(reader))[0] for _ in range(4)] == [200, 404, 200, 200]
    writer.close()


WAITING = b"GET /items/a?wait=completed&timeout=300 HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
async def slow(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Served, asyncio.Event]]:
    """A server whose answer about an item waits for an event, 404 then."""
    there = asyncio.Event()

    async def item(_: str) -> None:
        await there.wait()

    backend = fake_backend(
        Settings.load({"XIAN_CHAIN_ID": "chain-1"}), node=SimpleNamespace(item=item)
    )
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.2)
    async with serving(backend) as running:
        yield running, there


@pytest.mark.parametrize(
    ("second", "status"),
    [
        (b"no http\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nno number\r\n", 400),
        (HEAD, 408),
        (HEAD + b"A: b\r\n" * 20_000, 431),
        (LIVE * (protocol.MAX_PIPELINED + 4), 429),
    ],
    ids=["bad", "bad-body", "slow", "large", "many"],
)
async def test_protocol_refuses_a_request_in_its_turn(
    slow: tuple[Served, asyncio.Event], monkeypatch: pytest.MonkeyPatch, second: bytes, status: int
) -> None:
    served, there = slow
    refused = asyncio.Event()
    original = protocol.Protocol._refuse

    def refuse(self: protocol.Protocol, *given: Any) -> None:
        original(self, *given)
        refused.set()

    monkeypatch.setattr(protocol.Protocol, "_refuse", refuse)
    reader, writer = await served.connect()
    writer.write(WAITING + second)
    await asyncio.wait_for(refused.wait(), 20)
    there.set()
    statuses = [(await answer(reader))[0]]
    while (last := (await answer(reader))[0]) == 200:
        statuses.append(last)
    waited = protocol.MAX_PIPELINED if status == 429 else 0
    assert (statuses, last) == ([404] + [200] * waited, status)
    assert await _is_closed(reader)
    writer.close()


async def test_protocol_keeps_few_requests_that_wait_for_the_answer_before_theirs(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 0
    original = protocol.Protocol.on_headers_complete

    def complete(self: protocol.Protocol) -> None:
        nonlocal most
        original(self)
        most = max(most, len(self.pipeline))

    monkeypatch.setattr(protocol.Protocol, "on_headers_complete", complete)
    reader, writer = await served.connect()
    writer.write(LIVE * 4_000)
    assert await _is_closed(reader)
    assert 0 < most <= protocol.MAX_PIPELINED
    writer.close()


async def test_protocol_ends_a_request_that_is_never_whole(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.2)
    for begin in (b"", HEAD, LIVE + HEAD, POST + b"Content-Length: 10\r\n\r\n{"):
        reader, writer = await served.connect()
        writer.write(begin)
        if begin.startswith(LIVE):
            assert (await answer(reader))[0] == 200
        status, _, body = await answer(reader)
        assert (status, "0.2 s" in detail(body)) == (408, True)
        assert await _is_closed(reader)
        writer.close()


async def test_protocol_ends_an_answer_that_nobody_reads(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "WRITE_SECONDS", 0.2)
    made: list[protocol.Protocol] = []
    original = protocol.Protocol.pause_writing

    def paused(self: protocol.Protocol) -> None:
        made.append(self)
        original(self)

    monkeypatch.setattr(protocol.Protocol, "pause_writing", paused)
    plug = socket.socket()
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plug.setblocking(False)
    loop = asyncio.get_running_loop()
    with plug:
        await loop.sock_connect(plug, ("127.0.0.1", served.port))
        page = b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
        await loop.sock_sendall(plug, page * 20)
        async with asyncio.timeout(20):
            while not made or not made[0].transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_protocol_keeps_an_idle_connection_longer_than_clients_do(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[protocol.Protocol] = []
    original = protocol.Protocol.connection_made

    def connected(self: protocol.Protocol, transport: Any) -> None:
        made.append(self)
        original(self, transport)

    monkeypatch.setattr(protocol.Protocol, "connection_made", connected)
    reader, writer = await served.connect()
    writer.write(LIVE)
    await answer(reader)
    timer = made[0].timeout_keep_alive_task
    assert timer is not None
    assert timer.when() - asyncio.get_running_loop().time() > 90
    writer.close()


async def test_protocol_ends_an_idle_connection_whatever_stands_between_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.3)
    async with serving(fake_backend(Settings.load({"XIAN_CHAIN_ID": "chain-1"}))) as served:
        reader, writer = await served.connect()
        writer.write(LIVE)
        await answer(reader)
        async with asyncio.timeout(20):
            while not reader.at_eof():
                writer.write(b"\r\n")
                with contextlib.suppress(TimeoutError, ConnectionError):
                    await asyncio.wait_for(reader.read(1), 0.05)
        writer.close()


async def test_server_refuses_connections_beyond_the_limit_of_open_files(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "raise_file_limit", lambda: connections.RESERVED_FILES + 2)
    async with serving(fake_backend(Settings.load({"XIAN_CHAIN_ID": "chain-1"}))) as served:
        opened = [await served.connect() for _ in range(3)]
        opened[0][1].write(LIVE)
        assert (await answer(opened[0][0]))[0] == 200
        assert (await answer(opened[2][0]))[0] == 503
        for _, writer in opened:
            writer.close()
    assert "only 2 connections at once" in caplog.text


async def test_server_refuses_connections_beyond_those_of_one_address(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_PER_ADDRESS", 2)
    reader, writer = await served.connect()
    others = [await served.connect() for _ in range(2)]
    status, headers, _ = await answer(others[1][0])
    assert (status, headers["retry-after"]) == (429, "2")
    writer.write(LIVE)
    assert (await answer(reader))[0] == 200
    writer.close()
    async with asyncio.timeout(20):
        while True:  # the server hears of the end a moment later
            reader, again = await served.connect()
            again.write(LIVE)
            with contextlib.suppress(ConnectionError):
                if (await answer(reader))[0] == 200:
                    break
    for _, other in [*others, (reader, again)]:
        other.close()
