"""When to contend for an item that another worker holds, and may have died with.

The contract starts a lease's clock only when another worker contends for the item, and a renewal
stops it. So a worker contends once a renewal is overdue, and again when the lease has passed since
then. Where no blocks are made, the time of a block is that of the block before: the first
contention then counts from the claim, and a second one, a moment later, may win the item.

Times of the chain are only compared with each other, for equality. What has passed is measured on
this machine's monotonic clock, so that no host's wall clock decides about a lease.
"""

from typing import NamedTuple

from ..items import Item

OVERDUE = 0.6
"""A holder renews after a third of its lease; after this share of it, the renewal is overdue."""

RETRY_SECONDS = (0.05, 1.0)
"""From one refused contention to the next; the last of them repeats."""


class _Holding(NamedTuple):
    """A claim or renewal as it was first seen, identified by its times on the chain."""

    updated_at: str
    contested_at: str | None
    seen_at: float
    refusals: int = 0
    contend_at: float | None = None


class LeaseTakeover:
    """What is known of items that others hold. `now` is on the monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._holdings: dict[str, _Holding] = {}

    def observe_claim(self, item_id: str, claimed_at: str, now: float) -> None:
        """Note that another worker claimed an item; `claimed_at` is the chain's time of it."""
        self._holdings[item_id] = _Holding(claimed_at, None, now)

    def forget(self, item_id: str) -> None:
        """Note that no other worker holds the item any more."""
        self._holdings.pop(item_id, None)

    def contend_at(self, item: Item, now: float) -> float:
        """Return when to contend for a held item; at once if that is not after `now`.

        Where somebody contended already, only the chain knows how long the clock has run, so it is
        asked at once.
        """
        holding = self._current(item, now)
        if holding.contend_at is not None:
            return holding.contend_at
        return holding.seen_at + (item.lease_seconds * OVERDUE if item.contested_at is None else 0)

    def refused(self, item: Item, now: float) -> float:
        """Note that a contention was answered `leased`; return when to contend again."""
        holding = self._current(item, now)
        pauses = list(RETRY_SECONDS)
        if item.contested_at is not None:
            pauses.insert(0, item.lease_seconds)
        again = now + pauses[min(holding.refusals, len(pauses) - 1)]
        self._holdings[item.item_id] = holding._replace(
            refusals=holding.refusals + 1, contend_at=again
        )
        return again

    def _current(self, item: Item, now: float) -> _Holding:
        """Return what is known of this claim or renewal; a later renewal begins anew."""
        holding = self._holdings.get(item.item_id)
        if holding is None or holding[:2] != (item.updated_at, item.contested_at):
            holding = _Holding(item.updated_at, item.contested_at, now)
            self._holdings[item.item_id] = holding
        return holding
