"""A service's sign of life: a file for health, written each second, and a word to its manager."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from . import notify

INTERVAL_SECONDS = 1.0


class Heartbeat:
    """`status` is what the service says of itself; it goes out with the next beat."""

    def __init__(self, state_dir: Path, service: str) -> None:
        self._path = path(state_dir, service)
        self._service = service
        self.status: dict[str, Any] = {}

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator[Heartbeat]:
        """Beat for as long as the block runs; the file goes when it ends in order."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._beat()
        notify.tell(READY=1)
        task = asyncio.create_task(self._run(), name="heartbeat")
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._path.unlink(missing_ok=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            self._beat()

    def _beat(self) -> None:
        text = json.dumps(
            {"service": self._service, "pid": os.getpid(), "at": time.time(), **self.status}
        )
        temporary = self._path.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self._path)
        notify.tell(WATCHDOG=1, STATUS=self.status.get("problem") or "well")


def path(state_dir: Path, service: str) -> Path:
    """Return where a service's heartbeat lies."""
    return state_dir / f"{service}.heartbeat.json"
