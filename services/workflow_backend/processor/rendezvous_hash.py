"""Which of several processors claims an item first: rendezvous hashing.

Each processor sees in the events who else claims, and ranks all of them for each item by the same
hash. The first claims at once, each further one HEAD_START seconds later. So few claims collide,
and an item whose first worker is gone or busy goes to the next one. No processor has to know how
many others there are.
"""

import time
from hashlib import blake2b

HEAD_START = 0.3
"""Seconds between one rank and the next: by then a claim is in the index of another host."""

REMEMBER_SECONDS = 60.0
"""A worker that has claimed nothing of a kind for this long is not ranked."""


class RendezvousHash:
    """Ranks the worker `me` among those that claim. Times are on the monotonic clock."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._others: dict[str, dict[str, float]] = {}

    def observe_claim(self, worker: str, kind: str, now: float) -> None:
        """Note that another worker claimed an item of a kind."""
        self._others.setdefault(kind, {})[worker] = now

    def delay(self, item_id: str, kind: str, now: float | None = None) -> float:
        """Return the seconds by which workers of a higher rank go first for this item."""
        others = self._others.get(kind)
        if not others:
            return 0.0
        since = (time.monotonic() if now is None else now) - REMEMBER_SECONDS
        for worker in [name for name, claimed_at in others.items() if claimed_at < since]:
            del others[worker]
        mine = _weight(self._me, item_id)
        return HEAD_START * sum(_weight(worker, item_id) > mine for worker in others)


def _weight(worker: str, item_id: str) -> bytes:
    return blake2b(f"{worker}:{item_id}".encode(), digest_size=8).digest()
