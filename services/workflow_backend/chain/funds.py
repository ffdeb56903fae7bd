"""Whether the wallet can go on paying: its balance held against what its transactions cost.

A node does not tell whether it charges fees, the balance does: while it never falls, nothing is
said.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple

from ..background import background
from ..errors import WorkflowError
from .node import Node
from .submitter import Submitter

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
PACE_SECONDS = 600.0
"""The pace is what was spent in this time, and in no shorter one: a burst of items is no pace. Of a
wallet that begins to be emptied within the hour it is said once a seventh is gone."""

LOW_SECONDS = 3600.0
"""A wallet that would be empty in this time, at its pace, is low."""

LOW_TRANSACTIONS = 100
"""And so is one that has not enough for so many transactions, however slowly they come."""


class _Look(NamedTuple):
    """When it was looked, and what had been spent and sent since the first look."""

    at: float
    spent: float
    sent: int


class Funds:
    """Looks after the wallet of one submitter; `warning` is empty while it has enough."""

    def __init__(self, node: Node, submitter: Submitter) -> None:
        self._node = node
        self._submitter = submitter
        self._looks: deque[_Look] = deque()
        self._each = 0.0
        self.balance: float | None = None
        self.warning = ""

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[Funds]:
        """Look for as long as the block runs."""
        async with background(self._watch(), "funds"):
            yield self

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(WorkflowError):  # that the node is away others say
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look at the balance, once; raises WorkflowError where it can't be had."""
        balance = await self._node.balance(self._submitter.address)
        warning = self._judge(balance, time.monotonic())
        self.balance = balance
        if warning and not self.warning:
            log.warning("%s", warning)
        elif self.warning and not warning:
            log.info("wallet %s has enough again", self._submitter.address)
        self.warning = warning

    def _judge(self, balance: float, now: float) -> str:
        # What comes in between two looks is no spending undone.
        fallen = 0.0 if self.balance is None else max(0.0, self.balance - balance)
        spent = fallen + (self._looks[-1].spent if self._looks else 0.0)
        self._looks.append(_Look(now, spent, self._submitter.transactions))
        while len(self._looks) > 1 and self._looks[1].at <= now - PACE_SECONDS:
            self._looks.popleft()
        first, last = self._looks[0], self._looks[-1]
        spent, sent = last.spent - first.spent, last.sent - first.sent
        if spent and sent:
            self._each = spent / sent
        pace = spent / max(PACE_SECONDS, last.at - first.at) if sent else 0.0
        if balance >= pace * LOW_SECONDS and balance >= LOW_TRANSACTIONS * self._each:
            return ""
        return (
            f"wallet {self._submitter.address} runs low: {balance:,.0f} left, enough for about "
            f"{balance / self._each:,.0f} transactions"
        )
