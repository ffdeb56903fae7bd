"""The HTTP server: serves an application on a listening socket until it is stopped."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import cast

import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..watchdog import LoopWatchdog
from .app import create_app
from .backend import Backend
from .certificate import Certificate
from .connections import MAX_CONNECTIONS, RESERVED_FILES, Connections, raise_file_limit
from .problems import stopping_problem
from .protocol import IDLE_SECONDS, Protocol
from .tls_listener import TlsListener

log = logging.getLogger(__name__)

GRACE_SECONDS = 12
"""Longer than a write waits for its block, so that each gets its own answer."""

CANCELLED_SECONDS = 1.0


async def serve(
    backend: Backend, listener: socket.socket, certificate: Certificate | None, stop: asyncio.Event
) -> None:
    """Serve until `stop` is set and the requests before it are answered, within limits."""
    settings = backend.settings
    most = raise_file_limit() - RESERVED_FILES
    if most < MAX_CONNECTIONS:
        log.warning("only %d connections at once: the limit of open files allows no more", most)
    connections = Connections(most, settings.api_proxies)
    config = uvicorn.Config(
        _AnswerOnStop(create_app(backend), backend.stopping),
        http=Protocol,
        ws="none",
        ssl_context_factory=(lambda *_: certificate.context) if certificate else None,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=bool(settings.api_proxies),
        forwarded_allow_ips=[str(network) for network in settings.api_proxies],
        root_path=settings.api_prefix,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config, connections, backend.server_watchdog)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    waiting = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:  # requests end in order also if a part of the service has failed
        backend.stopping.set()
        server.should_exit = True
        waiting.cancel()
        await serving
        if server.server_state.tasks:  # they were cancelled, and are answering
            await asyncio.wait(server.server_state.tasks, timeout=CANCELLED_SECONDS)


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, connections: Connections, watchdog: LoopWatchdog
    ) -> None:
        super().__init__(config)
        self._connections = connections
        self._watchdog = watchdog

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen as uvicorn does, with limits for connections that have not shaken hands."""
        self.servers = [await self._listen(listener) for listener in sockets or []]
        self.started = True

    async def _listen(self, listener: socket.socket) -> asyncio.Server:
        config = self.config

        def make(counted_for: str | None = None) -> Protocol:
            state = {"config": config, "server_state": self.server_state, "app_state": {}}
            return Protocol(self._connections, counted_for=counted_for, **state)

        listener.listen(config.backlog)
        if config.ssl:
            server = TlsListener(listener, config.ssl, self._connections, make)
            return cast("asyncio.Server", server)  # it has what uvicorn asks of one
        loop = asyncio.get_running_loop()
        return await loop.create_server(make, sock=listener, backlog=config.backlog)

    async def on_tick(self, counter: int) -> bool:
        """Beat the watchdog, ten times a second; return whether to exit."""
        over = await super().on_tick(counter)
        if over:
            self._watchdog.idle()  # the shutdown has its own time limits
        else:
            self._watchdog.beat()
        return over

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the command line, which stops every service in the same way."""
        yield


class _AnswerOnStop:
    """Middleware: 503 for a request that a stop interrupts, so that its client knows to retry."""

    def __init__(self, app: ASGIApp, stopping: asyncio.Event) -> None:
        self._app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
            if not started:
                await stopping_problem(Request(scope))(scope, receive, send)
