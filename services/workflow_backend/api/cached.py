"""A cached answer for everybody who asks within a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable

CACHE_SECONDS = 1.0


class CachedAnswer[T]:
    """Caches one answer for a second. Callers that come while it is computed wait for it."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._cached: tuple[float, T] | None = None

    async def get(self, compute: Callable[[], Awaitable[T]]) -> T:
        """Return the cached answer, computed anew if there is none or an old one."""
        async with self._lock:
            if self._cached is None or time.monotonic() - self._cached[0] > CACHE_SECONDS:
                self._cached = (time.monotonic(), await compute())
            return self._cached[1]
