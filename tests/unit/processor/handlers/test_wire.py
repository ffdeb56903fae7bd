"""The lines between processor and handlers' process."""

import asyncio
import socket

import pytest

from workflow_backend.processor.handlers import wire
from workflow_backend.processor.handlers.wire import MAX_LINE, Channel


async def test_channel_to_a_process_that_reads_nothing_is_closed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "CLOSE_SECONDS", 0.1)
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    channel = Channel(*await asyncio.open_unix_connection(sock=ours, limit=MAX_LINE))
    channel.send({"run": 1, "job": "x" * 10_000_000})
    async with asyncio.timeout(10):
        await channel.close()
    theirs.close()
