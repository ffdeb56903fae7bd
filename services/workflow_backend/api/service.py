"""The API as a service."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from ipaddress import ip_address

import uvicorn

from ..errors import SettingError
from ..pulse import Pulse
from ..settings import Settings
from .app import create_app
from .backend import open_backend
from .certificate import Certificate

log = logging.getLogger(__name__)

GRACE_SECONDS = 10


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, pulse: Pulse) -> None:
        super().__init__(config)
        self._pulse = pulse

    async def on_tick(self, counter: int) -> bool:
        """Go on, ten times a second; tell whether to end."""
        over = await super().on_tick(counter)
        if over:
            self._pulse.rest()  # from here on there are time limits
        else:
            self._pulse()
        return over

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the command line, which stops every service in the same way."""
        yield


async def run(settings: Settings, stop: asyncio.Event, *, read_only: bool) -> None:
    """Serve until `stop` is set; raises WorkflowError where it can't begin.

    One that is `read_only` needs no wallet, and uses none that it is given.
    """
    pair = settings.certificate()
    certificate = Certificate(*pair) if pair else None
    with _listen(settings) as listener:
        async with (
            open_backend(settings, read_only=read_only) as backend,
            certificate.watched() if certificate else contextlib.nullcontext(),
        ):
            config = uvicorn.Config(
                create_app(backend),
                ssl_context_factory=(lambda *_: certificate.context) if certificate else None,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
            server = _Server(config, backend.serving)
            scheme = "https" if certificate else "http"
            log.info("serving on %s://%s:%s", scheme, settings.api_host, settings.api_port)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            backend.stopping.set()
            server.should_exit = True
            stopping.cancel()
            await serving
    log.info("api stopped")


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.api_host, settings.api_port
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        raise SettingError(
            f"XIAN_WORKFLOW_API_HOST must be an IP address, it is {host!r}"
        ) from None
    if not loopback and settings.tokens_file is None:
        raise SettingError(
            f"XIAN_WORKFLOW_API_HOST is {host}: without tokens the API serves loopback only",
            hint="set 127.0.0.1 or ::1, or XIAN_WORKFLOW_TOKENS_FILE",
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise SettingError(
            f"can't listen on {host}:{port}: {error.strerror}",
            hint="stop what uses the port or set XIAN_WORKFLOW_API_PORT",
        ) from error
