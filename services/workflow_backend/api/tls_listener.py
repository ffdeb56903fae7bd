"""Connections of TLS, counted from the moment that they are accepted.

The event loop's own server shows a connection to its protocol after the handshake only. Until then
it takes a file all the same, and a client that never shakes hands could take all that there are.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from .connections import Connections
from .protocol import Protocol

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 10.0
PAUSE_SECONDS = 1.0
"""How long nothing is accepted after the system refused to: it may have no file left."""


class TlsListener:
    """Accepts connections on a listening socket, and makes a protocol for each.

    `make` is given the address that the connection is counted for. A connection beyond the limits
    is closed: an answer would take a handshake.
    """

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        connections: Connections,
        make: Callable[[str], Protocol],
    ) -> None:
        self._listener = listener
        self._context = context
        self._connections = connections
        self._make = make
        self._tasks: set[asyncio.Task[None]] = set()
        listener.setblocking(False)
        self._start(self._accept())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listener)
            except OSError as error:
                log.warning("no connection can be accepted: %s", error)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if self._connections.admit(address[0]) is None:
                self._start(self._shake_hands(connection, address[0]))
            else:
                connection.close()

    async def _shake_hands(self, connection: socket.socket, address: str) -> None:
        protocol = self._make(address)
        try:
            with contextlib.suppress(OSError):  # of TLS, of the connection, or of its time
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: protocol,
                    connection,
                    ssl=self._context,
                    ssl_handshake_timeout=HANDSHAKE_SECONDS,
                )
        finally:
            if not protocol.is_connected:  # else it releases the connection when it is lost
                self._connections.release(address)

    def close(self) -> None:
        """Accept nothing more, and give up the connections that have not shaken hands."""
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until nothing is accepted any more."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
