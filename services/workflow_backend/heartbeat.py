"""A service's sign of life: a file for health, written each second, and a word to its manager.

The manager's watchdog is told that all is well only while every loop of the service goes round: a
process that lives and does nothing any more is to be started anew.
"""

import asyncio
import contextlib
import json
import logging
import os
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from . import notify
from .background import background
from .errors import WorkflowError
from .pulse import Pulse

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0

LARGEST = 64 << 10
LATEST = 1e11
"""Seconds since 1970 at most that a heartbeat may tell: a calendar ends."""

_KINDS = {"problem": str, "warning": str, "height": int, "unhandled": dict, "compared": dict}
"""What others reckon with, where a service tells it."""


class Heartbeat:
    """`status` is what the service says of itself; it goes out with the next beat."""

    def __init__(self, state_dir: Path, service: str) -> None:
        self._path = path(state_dir, service)
        self._service = service
        self._pulses: list[Pulse] = []
        self._trouble: set[str] = set()
        self.status: dict[str, Any] = {}

    def watch(self, loop: str) -> Pulse:
        """Return the pulse for one loop of the service."""
        self._pulses.append(Pulse(loop))
        return self._pulses[-1]

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator[Heartbeat]:
        """Beat for as long as the block runs; the file goes when it ends in order."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._write({})
        self._tell([])
        notify.tell(READY=1)
        try:
            async with background(self._run(), "heartbeat"):
                yield self
        finally:
            self._path.unlink(missing_ok=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            stuck = [
                f"{pulse.name} has not gone on for {pulse.stuck:.0f} s"
                for pulse in self._pulses
                if pulse.stuck
            ]
            self._say(stuck)
            try:
                self._write({"problem": "; ".join(stuck)} if stuck else {})
            except OSError as error:
                # Whoever reads the file sees that it is old; the service goes on.
                self._say([f"the heartbeat can't be written: {error}"])
            self._tell(stuck)

    def _write(self, problem: dict[str, str]) -> None:
        told = {"service": self._service, "pid": os.getpid(), "at": time.time()}
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(told | self.status | problem), encoding="utf-8")
        temporary.replace(self._path)

    def _tell(self, stuck: list[str]) -> None:
        if stuck:
            notify.tell(STATUS="; ".join(stuck))
        else:
            notify.tell(WATCHDOG=1, STATUS=self.status.get("problem") or "well")

    def _say(self, troubles: list[str]) -> None:
        """Log what is wrong, each kind once."""
        for trouble in troubles:
            kind = trouble.partition(" for ")[0]
            if kind not in self._trouble:
                self._trouble.add(kind)
                log.error("%s", trouble)


def path(state_dir: Path, service: str) -> Path:
    """Return where a service's heartbeat lies."""
    return state_dir / f"{service}.heartbeat.json"


def read(file: Path) -> dict[str, Any] | None:
    """Return what a service told of itself last, with `pid` and `at`; None where it tells nothing.

    The folder is another account's: a link is not followed, a pipe not waited for, and no more is
    read than a heartbeat has. Raises WorkflowError for what is no heartbeat.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorkflowError(f"its heartbeat can't be read: {error}") from error
    with os.fdopen(descriptor, "rb") as stream:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        text = stream.read(LARGEST + 1) if regular else b""
    try:
        beat = json.loads(text)
        told = {**beat, "pid": int(beat["pid"]), "at": float(beat["at"])}
    except ValueError, LookupError, TypeError, RecursionError, OverflowError:
        told = None
    if told is None or len(text) > LARGEST or not _fits(told):
        raise WorkflowError(f"{file} is no heartbeat", hint="see who wrote it; it is made anew")
    return told


def _fits(beat: dict[str, Any]) -> bool:
    known = all(isinstance(beat.get(name, kind()), kind) for name, kind in _KINDS.items())
    if not known or not 0 < beat["at"] < LATEST or beat["pid"] < 1:
        return False
    numbers = [*beat.get("unhandled", {}).values(), beat.get("compared", {}).get("rounds", 0)]
    return all(isinstance(number, int) for number in numbers)
