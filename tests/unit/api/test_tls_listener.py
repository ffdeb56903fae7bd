"""Connections of TLS: how many there may be, and for how long, before and after the handshake."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from services.certificates import Authority

from workflow_backend.api import connections, server, tls_listener
from workflow_backend.api.certificate import Certificate
from workflow_backend.settings import Settings

from .conftest import fake_backend
from .serving import Served, answer, serving

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"

type Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Served, ssl.SSLContext]]:
    authority = Authority(tmp_path)
    pem, key, _ = authority.sign()
    files = tmp_path / "api.pem", tmp_path / "api-key.pem"
    files[0].write_bytes(pem)
    files[1].write_bytes(key)
    backend = fake_backend(Settings.load({"XIAN_CHAIN_ID": "chain-1"}))
    async with serving(backend, Certificate(*files)) as running:
        yield running, ssl.create_default_context(cafile=authority.file)


async def _ask(port: int, trust: ssl.SSLContext) -> Connection:
    """Connect, and ask something; raises ConnectionError where the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
    writer.write(LIVE)
    try:
        assert (await answer(reader))[0] == 200
    except asyncio.IncompleteReadError:
        raise ConnectionResetError from None
    return reader, writer


async def _until_served(port: int, trust: ssl.SSLContext) -> Connection:
    """Connect once the server has heard of the end of others."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(ConnectionError):
                return await _ask(port, trust)
            await asyncio.sleep(0.02)


async def _is_closed(reader: asyncio.StreamReader) -> bool:
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 20)
    return True


async def test_server_gives_up_a_client_that_does_not_shake_hands(
    served: tuple[Served, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_listener, "HANDSHAKE_SECONDS", 0.3)
    running, trust = served
    silent, plug = await running.connect()
    _, writer = await _ask(running.port, trust)
    assert await _is_closed(silent)
    plug.close()
    writer.close()


def _silence(_: asyncio.StreamWriter) -> None:
    """Say nothing."""


def _nonsense(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x16\x03\x01no handshake")


@pytest.mark.parametrize("say", [_silence, _nonsense])
async def test_server_counts_clients_that_do_not_shake_hands(
    served: tuple[Served, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
    say: Callable[[asyncio.StreamWriter], None],
) -> None:
    monkeypatch.setattr(connections, "MAX_PER_ADDRESS", 3)
    running, trust = served
    silent = [await running.connect() for _ in range(3)]
    beyond = [await running.connect() for _ in range(20)]
    assert all([await _is_closed(reader) for reader, _ in beyond])
    for _, writer in silent:
        say(writer)
        writer.close()
    _, served_writer = await _until_served(running.port, trust)
    for _, writer in [*beyond, ("", served_writer)]:
        writer.close()


async def test_server_counts_a_client_once_before_and_after_its_handshake(
    served: tuple[Served, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_PER_ADDRESS", 2)
    running, trust = served
    for _ in range(3):
        opened = [await _until_served(running.port, trust) for _ in range(2)]
        with pytest.raises(ConnectionError):
            await _ask(running.port, trust)
        for _, writer in opened:
            writer.transport.abort()


async def test_stop_does_not_wait_for_handshakes(served: tuple[Served, ssl.SSLContext]) -> None:
    running, trust = served
    silent, plug = await running.connect()
    _, writer = await _ask(running.port, trust)
    await asyncio.wait_for(running.ended(), server.GRACE_SECONDS / 2)
    assert await _is_closed(silent)
    plug.close()
    writer.close()
