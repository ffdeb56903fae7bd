"""The real HTTP server on a free port of loopback, with a backend of a test's own."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

from workflow_backend.api.backend import Backend
from workflow_backend.api.certificate import Certificate
from workflow_backend.api.server import serve


@dataclass
class Served:
    """A server that runs; `stop` tells it to end, `ended` waits until it has."""

    port: int
    stop: asyncio.Event
    task: asyncio.Task[None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ended(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, 30)


@contextlib.asynccontextmanager
async def serving(
    backend: Backend, certificate: Certificate | None = None
) -> AsyncIterator[Served]:
    listener = socket.create_server(("127.0.0.1", 0))
    stop = asyncio.Event()
    with listener:
        task = asyncio.create_task(serve(backend, listener, certificate, stop))
        served = Served(listener.getsockname()[1], stop, task)
        try:
            yield served
        finally:
            await served.ended()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read one answer that tells its length: status, headers, body."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(head[0].split()[1]), headers, body


def detail(body: bytes) -> str:
    return str(json.loads(body)["detail"])
