"""Taking over from workers that are gone: when to contend for an item that another one holds.

The contract starts a lease's clock only when somebody contends, and a renewal stops it. So one
contends early, once a renewal is overdue, and again when the lease has passed since then. Where no
blocks are made, a block's `now` is the time of the one before: the first contention then counts
from the claim, and the second, a moment later, may have the item.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from ..items import Item

OVERDUE = 0.6
"""A holder renews when a third of its lease is over; after so much of it, it is late."""

AGAIN_AT_ONCE = 0.05
AGAIN = 1.0


class _Seen(NamedTuple):
    updated_at: str
    since: float
    contentions: int = 0


class Contest:
    """What is known of items that others hold. Times are Unix seconds."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def claimed(self, item_id: str, at: str, now: float) -> None:
        """Take in that another worker claimed an item; `at` is the chain's time of the claim."""
        self._seen[item_id] = _Seen(at, now)

    def forget(self, item_id: str) -> None:
        """Nobody holds the item any more, or we do."""
        self._seen.pop(item_id, None)

    def when(self, item: Item, now: float) -> float:
        """Return when to contend for a held item; what is not above `now` is at once."""
        seen = self._seen.get(item.item_id)
        if seen is None or seen.updated_at != item.updated_at:
            seen = self._seen[item.item_id] = _Seen(item.updated_at, now)
        if item.contested_at is not None:
            return _seconds(item.contested_at) + item.lease_seconds
        return seen.since + item.lease_seconds * OVERDUE

    def refused(self, item: Item, now: float) -> float:
        """Take in that a contention was answered `leased`; return when to look again."""
        seen = self._seen.get(item.item_id) or _Seen(item.updated_at, now)
        self._seen[item.item_id] = seen._replace(contentions=seen.contentions + 1)
        return now + (AGAIN if seen.contentions else AGAIN_AT_ONCE)


def _seconds(chain_time: str) -> float:
    return datetime.fromisoformat(chain_time).replace(tzinfo=UTC).timestamp()
