"""How long the projection has been behind the chain, by this process's own clock.

Heights alone do not tell: on an idle chain, one block that has been missing for an hour is a lag of
one block.
"""

import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator

from ..background import background
from ..chain.block_subscription import BlockSubscription

RESOLUTION_SECONDS = 1.0
MAX_ARRIVALS = 900
"""Block arrivals that are kept, a second apart. A longer lag is reported as at least that long."""


class ProjectionLag:
    """Records when blocks arrived."""

    def __init__(self) -> None:
        self._arrivals: deque[tuple[float, int]] = deque()
        self._height = 0

    @contextlib.asynccontextmanager
    async def watching(self, subscription: BlockSubscription) -> AsyncIterator[ProjectionLag]:
        """Record the chain's blocks for as long as the block runs."""
        async with background(self._watch(subscription), "lag"):
            yield self

    async def _watch(self, subscription: BlockSubscription) -> None:
        while True:
            if await subscription.wait(RESOLUTION_SECONDS):
                self.record_block(subscription.height)

    def record_block(self, height: int) -> None:
        """Record that the chain's newest block has this height now."""
        if height < self._height:
            self._arrivals.clear()  # the chain was restored to an older height
        self._height = height
        now = time.monotonic()
        if self._arrivals and now - self._arrivals[-1][0] < RESOLUTION_SECONDS:
            self._arrivals[-1] = (self._arrivals[-1][0], height)
            return
        self._arrivals.append((now, height))
        if len(self._arrivals) > MAX_ARRIVALS:
            del self._arrivals[1]  # a long lag counts from the oldest, so that one stays

    def seconds(self, projected_height: int) -> float:
        """Return for how long a projection at this height has lacked a block; 0 if it has all."""
        while self._arrivals and self._arrivals[0][1] <= projected_height:
            self._arrivals.popleft()
        return time.monotonic() - self._arrivals[0][0] if self._arrivals else 0.0
