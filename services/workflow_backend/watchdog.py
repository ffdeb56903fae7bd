"""Watchdogs for a service's loops: the heartbeat reports a loop that hangs."""

import time

LIMIT_SECONDS = 120.0
"""An iteration that takes longer hangs: every request to a node or database times out before."""


class LoopWatchdog:
    """Watches one loop, which calls `beat` at every iteration and `idle` before it waits for work.

    `limit` is the longest time in seconds that an iteration may take.
    """

    def __init__(self, name: str, limit: float = LIMIT_SECONDS) -> None:
        self.name = name
        self._limit = limit
        self._last_beat: float | None = None

    def beat(self) -> None:
        """Record that an iteration begins."""
        self._last_beat = time.monotonic()

    def idle(self) -> None:
        """Record that the loop waits for work, which may take any time."""
        self._last_beat = None

    @property
    def stalled_seconds(self) -> float:
        """How long the current iteration has taken if that is over the limit, else 0."""
        if self._last_beat is None:
            return 0.0
        seconds = time.monotonic() - self._last_beat
        return seconds if seconds > self._limit else 0.0
