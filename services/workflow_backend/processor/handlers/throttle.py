"""Rate limiting of texts: of those that come too fast, only the newest is passed on."""

import asyncio
from collections.abc import Callable


class Throttle:
    """Passes texts to `send`, at least `seconds` apart."""

    def __init__(self, send: Callable[[str], None], seconds: float) -> None:
        self._send = send
        self._seconds = seconds
        self._waiting: str | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, text: str) -> None:
        """Send the text now, or later unless a newer one replaces it."""
        self._waiting = text
        if self._timer is None:
            self._flush()

    def _flush(self) -> None:
        self._timer = None
        if self._waiting is not None:
            text, self._waiting = self._waiting, None
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._flush)
            self._send(text)
