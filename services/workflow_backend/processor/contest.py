"""Taking over from workers that are gone: when to contend for an item that another one holds.

The contract starts a lease's clock only when somebody contends, and a renewal stops it. So one
contends early, once a renewal is overdue, and again when the lease has passed since then. Where no
blocks are made, a block's `now` is the time of the one before: the first contention then counts
from the claim, and the second, a moment later, may have the item.

The chain's times are compared with each other only, and by the chain: whether two records tell the
same time is all that is asked of them here. What has passed is measured on this machine, by a clock
that nobody sets.
"""

from typing import NamedTuple

from ..items import Item

OVERDUE = 0.6
"""A holder renews when a third of its lease is over; after so much of it, it is late."""

AGAIN_AT_ONCE = 0.05
AGAIN = 1.0


class _Seen(NamedTuple):
    """A hold as it was first seen, by its times on the chain."""

    updated_at: str
    contested_at: str | None
    since: float
    refusals: int = 0
    again: float | None = None


class Contest:
    """What is known of items that others hold. `now` is on the monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def claimed(self, item_id: str, at: str, now: float) -> None:
        """Take in that another worker claimed an item; `at` is the chain's time of the claim."""
        self._seen[item_id] = _Seen(at, None, now)

    def forget(self, item_id: str) -> None:
        """Nobody holds the item any more, or we do."""
        self._seen.pop(item_id, None)

    def when(self, item: Item, now: float) -> float:
        """Return when to contend for a held item; what is not above `now` is at once.

        Where a clock runs on the chain already, the chain is asked at once whether it is over: how
        long it has run cannot be told from here.
        """
        seen = self._seen_as(item, now)
        if seen.again is not None:
            return seen.again
        return seen.since + (item.lease_seconds * OVERDUE if item.contested_at is None else 0.0)

    def refused(self, item: Item, now: float) -> float:
        """Take in that a contention was answered `leased`; return when to look again."""
        seen = self._seen_as(item, now)
        pauses = [AGAIN_AT_ONCE, AGAIN]
        if item.contested_at is not None:
            pauses.insert(0, item.lease_seconds)
        again = now + pauses[min(seen.refusals, len(pauses) - 1)]
        self._seen[item.item_id] = seen._replace(refusals=seen.refusals + 1, again=again)
        return again

    def _seen_as(self, item: Item, now: float) -> _Seen:
        seen = self._seen.get(item.item_id)
        if seen is None or seen[:2] != (item.updated_at, item.contested_at):
            seen = self._seen[item.item_id] = _Seen(item.updated_at, item.contested_at, now)
        return seen
