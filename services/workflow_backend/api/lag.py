"""How long ago the chain made what the projection does not have yet, by this process's own clock.

Blocks alone do not tell: on an idle chain one block that is missing for an hour is one behind.
"""

import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator

from ..background import background
from ..chain.heads import Heads

STEP_SECONDS = 1.0
REMEMBERED = 900
"""Arrivals that are kept, a second apart: a longer lag is told as at least that long."""


class ProjectionLag:
    """Remembers when blocks came."""

    def __init__(self) -> None:
        self._arrivals: deque[tuple[float, int]] = deque()
        self._height = 0

    @contextlib.asynccontextmanager
    async def watching(self, heads: Heads) -> AsyncIterator[ProjectionLag]:
        """Take in the chain's blocks for as long as the block runs."""
        async with background(self._watch(heads), "lag"):
            yield self

    async def _watch(self, heads: Heads) -> None:
        while True:
            if await heads.wait(STEP_SECONDS):
                self.arrived(heads.height)

    def arrived(self, height: int) -> None:
        """Take in that the chain has a block of this height now."""
        if height < self._height:
            self._arrivals.clear()  # the chain was restored: what came before is not what it has
        self._height = height
        now = time.monotonic()
        if self._arrivals and now - self._arrivals[-1][0] < STEP_SECONDS:
            self._arrivals[-1] = (self._arrivals[-1][0], height)
            return
        self._arrivals.append((now, height))
        if len(self._arrivals) > REMEMBERED:
            del self._arrivals[1]  # the oldest is the one that a long lag counts from

    def seconds(self, projected: int) -> float:
        """Return for how long the projection, at this height, lacks a block; 0 where it has all."""
        while self._arrivals and self._arrivals[0][1] <= projected:
            self._arrivals.popleft()
        return time.monotonic() - self._arrivals[0][0] if self._arrivals else 0.0
