"""A deadline for what takes nobody knows how long, but gets on."""

import math
import time


class ProgressDeadline:
    """Passes once nothing has got further than ever before for `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._furthest: dict[str, float] = {}
        self._at = time.monotonic() + seconds

    @property
    def has_passed(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._at

    def record(self, name: str, progress: float) -> None:
        """Start the time again if what has this name is further than ever before."""
        if progress > self._furthest.get(name, -math.inf):
            self._furthest[name] = progress
            self._at = time.monotonic() + self._seconds
