"""The contract's rules for claims, so that no transaction is spent on what is known to be refused.

The contract decides by the time of the block before and by its own records. This module foresees
the decision by the same records and a clock; if the two differ for a moment, the contract refuses
and the item is checked again.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from ..chain.node import Node
from ..chain.state_answers import Pause
from ..items import FINAL_STATUSES, Item
from .journal import Journal
from .schema import Hold, PendingItem

RECHECK_SECONDS = 3_600.0
"""Longest time until an item that a rule holds back is checked again: events may be missed."""

PAUSES_SECONDS = 1.0
"""Seconds until the pauses are read again."""

ALL_KINDS = "*"


class ClaimRules:
    """What the contract would refuse to let anybody claim now, by its own rules.

    `now` tells the time in seconds since 1970.
    """

    def __init__(self, node: Node, journal: Journal, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._node = node
        self._journal = journal
        self._pauses: Mapping[str, Pause] = {}
        self._read_at = 0.0

    async def refresh(self) -> None:
        """Read the pauses again if they were read a while ago; raises WorkflowError."""
        now = time.monotonic()
        if now - self._read_at < PAUSES_SECONDS:
            return
        version = await self._node.version()
        if version is not None and "pause" in version.capabilities:
            self._pauses = await self._node.pauses()
        self._read_at = now

    def is_paused(self, kind: str) -> bool:
        """Tell whether claims of a kind are paused, as far as is known."""
        now = self._now()
        return any(
            pause.until == 0 or pause.until > now
            for name, pause in self._pauses.items()
            if name in {kind, ALL_KINDS}
        )

    async def hold_back(self, items: Sequence[Item]) -> set[str]:
        """Put submitted items back that may not be claimed yet; return their ids.

        Raises WorkflowError if what they wait for can't be read.
        """
        now = self._now()
        early = {item.item_id for item in items if item.not_before > now}
        waiting = [item for item in items if item.after and item.item_id not in early]
        held = await self._hold_waiting(waiting)  # where this fails, nothing is put back
        self._journal.schedule(
            [_until_its_time(item, now) for item in items if item.item_id in early]
        )
        return early | held

    async def _hold_waiting(self, items: Sequence[Item]) -> set[str]:
        if not items:
            return set()
        self._journal.add_prerequisites([(i.item_id, each) for i in items for each in i.after])
        ids = sorted({each for item in items for each in item.after})
        awaited = dict(zip(ids, await self._node.items(ids), strict=True))
        held = set()
        for item in items:
            completed = self._journal.completed_prerequisites(item.item_id)
            missing = {each for each in item.after if not _is_completed(awaited[each])} - completed
            if missing:
                is_blocked = any(_has_ended(awaited[each]) for each in missing)
                hold = Hold.BLOCKED if is_blocked else Hold.WAITING
                self._journal.hold_back(_later(item, RECHECK_SECONDS, hold), missing)
                held.add(item.item_id)
        return held


def _until_its_time(item: Item, now: float) -> PendingItem:
    seconds = max(0.0, item.not_before - now)
    return _later(item, min(seconds, RECHECK_SECONDS), Hold.EARLY)


def _later(item: Item, seconds: float, hold: Hold) -> PendingItem:
    due = time.monotonic() + seconds
    return PendingItem(item.item_id, item.kind, due, priority=item.priority, hold=hold)


def _is_completed(item: Item | None) -> bool:
    return item is not None and "completed" in {item.status, item.ended}


def _has_ended(item: Item | None) -> bool:
    return item is None or item.status in FINAL_STATUSES
