"""Who goes first: processors that share a queue leave each other a head start on a part of it.

Every processor sees who else claims, and ranks them all for each item in the same way, by a hash.
The first claims at once, the next a moment later; where many wait, each takes first what it is the
first for. So few claims meet, and an item whose first is gone or has its hands full goes to the
next. Nobody need know how many there are.
"""

import time
from hashlib import blake2b

HEAD_START = 0.3
"""Seconds between one rank and the next: a claim is in the index of another host by then."""

REMEMBERED = 60.0
"""A worker that has claimed nothing of a kind for so many seconds is not counted."""


class Spread:
    """What one worker, `me`, knows of the others. Times are on the monotonic clock, in seconds."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._others: dict[str, dict[str, float]] = {}

    def claimed(self, worker: str, kind: str, now: float) -> None:
        """Take in that another worker claimed an item of a kind."""
        self._others.setdefault(kind, {})[worker] = now

    def delay(self, item_id: str, kind: str, now: float | None = None) -> float:
        """Return the seconds that the others have a head start on this item."""
        others = self._others.get(kind)
        if not others:
            return 0.0
        since = (time.monotonic() if now is None else now) - REMEMBERED
        for worker in [name for name, at in others.items() if at < since]:
            del others[worker]
        mine = _weight(self._me, item_id)
        return HEAD_START * sum(_weight(worker, item_id) > mine for worker in others)


def _weight(worker: str, item_id: str) -> bytes:
    return blake2b(f"{worker}:{item_id}".encode(), digest_size=8).digest()
