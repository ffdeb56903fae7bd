"""One answer for all who ask within a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable

KEPT_SECONDS = 1.0


class OnceASecond[T]:
    """Remembers an answer for a second; who asks while it is being found waits for it."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._found: tuple[float, T] | None = None

    async def get(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return the answer, asked for where there is none or an old one."""
        async with self._lock:
            if self._found is None or time.monotonic() - self._found[0] > KEPT_SECONDS:
                self._found = (time.monotonic(), await ask())
            return self._found[1]
