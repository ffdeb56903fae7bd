"""The heartbeat of a service: a file for health, rewritten each second, and its manager's watchdog.

The manager's watchdog is notified only while no loop of the service hangs, so that a process that
lives but does nothing is restarted.
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
from .watchdog import LoopWatchdog

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0

MAX_BYTES = 64 << 10
MAX_TIME = 1e11
"""Seconds since 1970: what a heartbeat may have at most as its time."""

_OPTIONAL_FIELDS = {
    "problem": str,
    "warning": str,
    "height": int,
    "unhandled": dict,
    "compared": dict,
}
"""Fields that health computes with, if a service reports them."""


class Heartbeat:
    """Writes the heartbeat of one service; `status` are the fields of the next beat."""

    def __init__(self, state_dir: Path, service: str) -> None:
        self._path = path(state_dir, service)
        self._service = service
        self._watchdogs: list[LoopWatchdog] = []
        self._logged: set[str] = set()
        self.status: dict[str, Any] = {}

    def watch(self, loop: str) -> LoopWatchdog:
        """Return a new watchdog for one loop of the service."""
        self._watchdogs.append(LoopWatchdog(loop))
        return self._watchdogs[-1]

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator[Heartbeat]:
        """Beat for as long as the block runs, then remove the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._write({})
        self._notify([])
        notify.send(READY=1)
        try:
            async with background(self._run(), "heartbeat"):
                yield self
        finally:
            self._path.unlink(missing_ok=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            stalled = [
                f"{watchdog.name} has been stuck for {watchdog.stalled_seconds:.0f} s"
                for watchdog in self._watchdogs
                if watchdog.stalled_seconds
            ]
            self._log_once(stalled)
            try:
                self._write({"problem": "; ".join(stalled)} if stalled else {})
            except OSError as error:
                # Readers see that the file is old; the service goes on.
                self._log_once([f"the heartbeat can't be written: {error}"])
            self._notify(stalled)

    def _write(self, problem: dict[str, str]) -> None:
        content = {"service": self._service, "pid": os.getpid(), "at": time.time()}
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(content | self.status | problem), encoding="utf-8")
        temporary.replace(self._path)

    def _notify(self, stalled: list[str]) -> None:
        if stalled:
            notify.send(STATUS="; ".join(stalled))
        else:
            notify.send(WATCHDOG=1, STATUS=self.status.get("problem") or "healthy")

    def _log_once(self, problems: list[str]) -> None:
        """Log each kind of problem once."""
        for problem in problems:
            kind = problem.partition(" for ")[0]
            if kind not in self._logged:
                self._logged.add(kind)
                log.error("%s", problem)


def path(state_dir: Path, service: str) -> Path:
    """Return the path of a service's heartbeat."""
    return state_dir / f"{service}.heartbeat.json"


def read(file: Path) -> dict[str, Any] | None:
    """Return a service's last heartbeat with `pid` and `at` (seconds since 1970), None if absent.

    The folder belongs to another account, so no link is followed, no pipe is waited for and at
    most MAX_BYTES are read. Raises WorkflowError if the file is not a heartbeat.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorkflowError(
            f"its heartbeat can't be read: {error}",
            hint="see who wrote it; the service replaces it when it starts",
        ) from error
    with os.fdopen(descriptor, "rb") as stream:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        text = stream.read(MAX_BYTES + 1) if regular else b""
    try:
        beat = json.loads(text)
        heartbeat = {**beat, "pid": int(beat["pid"]), "at": float(beat["at"])}
    except ValueError, LookupError, TypeError, RecursionError, OverflowError:
        heartbeat = None
    if heartbeat is None or len(text) > MAX_BYTES or not _is_valid(heartbeat):
        raise WorkflowError(
            f"{file} is not a heartbeat",
            hint="see who wrote it; the service replaces it when it starts",
        )
    return heartbeat


def _is_valid(beat: dict[str, Any]) -> bool:
    known = all(isinstance(beat.get(name, kind()), kind) for name, kind in _OPTIONAL_FIELDS.items())
    if not known or not 0 < beat["at"] < MAX_TIME or beat["pid"] < 1:
        return False
    numbers = [*beat.get("unhandled", {}).values(), beat.get("compared", {}).get("rounds", 0)]
    return all(isinstance(number, int) for number in numbers)
