"""A claimed item while this worker works on it."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from ..items import Item
from .handlers.public_text import MAX_PROGRESS, public
from .schema import Result


@dataclass(slots=True, eq=False)
class ActiveJob:
    """A claimed item and the task that works on it; the journal has its state.

    `is_recovered` says that only the item's record tells of the claim. `number` is that of the
    current try. `is_refused` says that the contract refused an action on the item for good,
    `is_stopping` that somebody who may do so asked to stop it, `is_let_go` that this worker ends.
    """

    item: Item
    is_recovered: bool
    task: asyncio.Task[None] | None = None
    started_at: float = field(default_factory=time.monotonic)
    renewed_at: float = field(default_factory=time.monotonic)
    number: int = 1
    waits_until: float | None = None
    must_release: asyncio.Event = field(default_factory=asyncio.Event)
    result: Result | None = None
    is_refused: bool = False
    is_stopping: bool = False
    is_let_go: bool = False
    has_started: bool = False
    progress: str = ""

    def note(self, text: str) -> None:
        """Take in what the handler says of its progress."""
        self.progress = public(text, MAX_PROGRESS)

    def stop(self) -> None:
        """End the work, as somebody asked; what has its result already is reported all the same."""
        if self.result is None and not self.is_stopping:
            self.is_stopping = True
            # A task that is cancelled before its first step would never take a step.
            if self.task is not None and self.has_started:
                self.task.cancel()

    def status(self) -> dict[str, Any]:
        """Return what the heartbeat tells of it."""
        return {
            "item_id": self.item.item_id,
            "kind": self.item.kind,
            "attempt": self.item.attempt,
            "try": self.number,
            "seconds": round(time.monotonic() - self.started_at),
            "progress": self.progress,
        }
