"""Whether a service's loops go round: what its watchdog is to know."""

import time

LIMIT_SECONDS = 120.0
"""A turn that takes longer hangs: every question to a node or a database is given up before."""


class Pulse:
    """The pulse of one loop: call it at every turn, and `rest` before a wait for work."""

    def __init__(self, name: str, limit: float = LIMIT_SECONDS) -> None:
        self.name = name
        self._limit = limit
        self._beat: float | None = None

    def __call__(self) -> None:
        """Say that the loop goes on."""
        self._beat = time.monotonic()

    def rest(self) -> None:
        """Say that the loop waits for work, which may take any time."""
        self._beat = None

    @property
    def stuck(self) -> float:
        """For how many seconds the turn has lasted too long, 0 where it has not."""
        if self._beat is None:
            return 0.0
        seconds = time.monotonic() - self._beat
        return seconds if seconds > self._limit else 0.0
