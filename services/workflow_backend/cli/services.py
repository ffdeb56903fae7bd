"""The services, which run until they are stopped, and the events for other programs."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from .. import logs, notify
from ..settings import HandlersSettings, Settings

type Service = Callable[[Settings, asyncio.Event], Awaitable[None]]


def add(commands: Any) -> None:
    """Add the commands of the services."""
    for name, run, what in (
        ("processor", _processor, "claim submitted items, run their handlers, report"),
        ("handlers", _handlers, "run the handlers of items, for processors on this host"),
        ("projector", _projector, "project the indexed events into the database for queries"),
    ):
        commands.add_parser(name, help=what, description=what).set_defaults(run=run)
    _add_api(commands)
    _add_events(commands)


def _add_api(commands: Any) -> None:
    what = "serve the HTTP API"
    api = commands.add_parser("api", help=what, description=what)
    api.add_argument(
        "--read-only", action="store_true", help="serve without a wallet, and refuse every change"
    )
    api.set_defaults(run=_api)


def _add_events(commands: Any) -> None:
    what = "follow the contract's events and print one JSON object per line"
    events = commands.add_parser("events", help=what, description=what)
    events.add_argument(
        "--cursor",
        type=Path,
        help="file that remembers the last event, so that the next run continues after it "
        "(default: events.cursor.json in XIAN_WORKFLOW_STATE_DIR)",
    )
    events.set_defaults(run=_events)


def _service(run: Service) -> int:
    logs.set_up()
    settings = Settings.load()

    async def until_stopped() -> None:
        await run(settings, _stop_at_signals())

    uvloop.run(until_stopped())
    return 0


def _stop_at_signals() -> asyncio.Event:
    stop = asyncio.Event()

    def end() -> None:
        notify.send(STOPPING=1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    return stop


def _processor(_: argparse.Namespace) -> int:
    from ..processor.service import run

    return _service(run)


def _handlers(_: argparse.Namespace) -> int:
    from ..processor.handlers.server import run

    logs.set_up()
    settings = HandlersSettings.load()

    async def until_stopped() -> None:
        await run(settings, _stop_at_signals())

    # The standard loop: this process lives with programs and pipes, which are its strength.
    asyncio.run(until_stopped())
    return 0


def _projector(_: argparse.Namespace) -> int:
    from ..projection.service import run

    return _service(run)


def _api(arguments: argparse.Namespace) -> int:
    from ..api.service import run

    return _service(partial(run, read_only=arguments.read_only))


def _events(arguments: argparse.Namespace) -> int:
    from ..chain.event_stream import stream_events

    def run(settings: Settings, stop: asyncio.Event) -> Awaitable[None]:
        cursor = arguments.cursor or settings.state_dir / "events.cursor.json"
        return stream_events(settings, cursor, sys.stdout, stop)

    return _service(run)
