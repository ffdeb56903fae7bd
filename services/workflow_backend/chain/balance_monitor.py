"""Whether the wallet can go on paying: its balance compared with what its transactions cost.

A node does not tell whether it charges fees, but the balance does: no warning is given while it
never falls.
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

CHECK_SECONDS = 15.0
RATE_WINDOW_SECONDS = 600.0
"""The window over which spending is averaged: a burst of items within it is not a rate.

A wallet that would be empty within the hour gets its warning once a seventh is spent.
"""

LOW_SECONDS = 3600.0
"""A wallet that would be empty within this time, at its rate of spending, is low."""

LOW_TRANSACTIONS = 100
"""A wallet that can't pay for this many transactions is low, however slowly they come."""


class _Sample(NamedTuple):
    """When the balance was checked, and what had been spent and sent since the first check."""

    at: float
    spent: float
    sent: int


class BalanceMonitor:
    """Watches the wallet of one submitter; `warning` is empty while its balance suffices."""

    def __init__(self, node: Node, submitter: Submitter) -> None:
        self._node = node
        self._submitter = submitter
        self._samples: deque[_Sample] = deque()
        self._cost = 0.0
        self.balance: float | None = None
        self.warning = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[BalanceMonitor]:
        """Check the balance in the background for as long as the block runs."""
        async with background(self._run(), "balance monitor"):
            yield self

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(WorkflowError):  # other parts report that the node is away
                await self.check()
            await asyncio.sleep(CHECK_SECONDS)

    async def check(self) -> None:
        """Check the balance once; raises WorkflowError if the node does not tell it."""
        balance = await self._node.balance(self._submitter.address)
        warning = self._evaluate(balance, time.monotonic())
        self.balance = balance
        if warning and not self.warning:
            log.warning("%s", warning)
        elif self.warning and not warning:
            log.info("wallet %s has enough again", self._submitter.address)
        self.warning = warning

    def _evaluate(self, balance: float, now: float) -> str:
        # A payment into the wallet does not cancel what was spent between two checks.
        fallen = 0.0 if self.balance is None else max(0.0, self.balance - balance)
        spent = fallen + (self._samples[-1].spent if self._samples else 0.0)
        self._samples.append(_Sample(now, spent, self._submitter.transactions))
        while len(self._samples) > 1 and self._samples[1].at <= now - RATE_WINDOW_SECONDS:
            self._samples.popleft()
        first, last = self._samples[0], self._samples[-1]
        spent, sent = last.spent - first.spent, last.sent - first.sent
        if spent and sent:
            self._cost = spent / sent
        rate = spent / max(RATE_WINDOW_SECONDS, last.at - first.at) if sent else 0.0
        if balance >= rate * LOW_SECONDS and balance >= LOW_TRANSACTIONS * self._cost:
            return ""
        return (
            f"wallet {self._submitter.address} runs low: {balance:,.0f} left, enough for about "
            f"{balance / self._cost:,.0f} transactions"
        )
