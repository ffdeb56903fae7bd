"""The API as a service."""

import asyncio
import contextlib
import logging
import os
import socket
from ipaddress import ip_address

from ..errors import SettingError
from ..settings import Settings
from .backend import open_backend
from .certificate import Certificate
from .server import serve

log = logging.getLogger(__name__)


async def run(settings: Settings, stop: asyncio.Event, *, read_only: bool) -> None:
    """Serve until `stop` is set; raises WorkflowError if it can't start.

    A `read_only` API needs no wallet and ignores a configured one.
    """
    pair = settings.certificate()
    certificate = Certificate(*pair) if pair else None
    with _listen(settings) as listener:
        async with (
            open_backend(settings, read_only=read_only) as backend,
            certificate.watching() if certificate else contextlib.nullcontext(),
        ):
            scheme = "https" if certificate else "http"
            log.info("serving on %s://%s", scheme, _address(settings))
            await serve(backend, listener, certificate, stop)
    log.info("api stopped")


def _address(settings: Settings) -> str:
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    return f"{host}:{settings.api_port}"


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
        # The error's own text would repeat the address.
        reason = os.strerror(error.errno) if error.errno else error
        raise SettingError(
            f"can't listen on {_address(settings)}: {reason}",
            hint="stop what uses the port or set XIAN_WORKFLOW_API_PORT",
        ) from error
