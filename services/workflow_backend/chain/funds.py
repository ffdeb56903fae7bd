"""Whether the wallet can go on paying: its balance held against what its transactions cost.

A node does not tell whether it charges fees, the balance does: while it never falls, nothing is
said.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from ..background import background
from ..errors import WorkflowError
from .node import Node
from .submitter import Submitter

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
LOW_SECONDS = 3600.0
"""A wallet that would be empty in this time, as it goes on, is low."""

LOW_TRANSACTIONS = 100
"""And so is one that has not enough for so many transactions, however slowly they come."""


class Funds:
    """Looks after the wallet of one submitter; `warning` is empty while it has enough."""

    def __init__(self, node: Node, submitter: Submitter) -> None:
        self._node = node
        self._submitter = submitter
        self._seen: tuple[float, int, float] | None = None
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
        at, sent = time.monotonic(), self._submitter.transactions
        warning = self._judge(balance, sent, at)
        self._seen, self.balance = (balance, sent, at), balance
        if warning and not self.warning:
            log.warning("%s", warning)
        elif self.warning and not warning:
            log.info("wallet %s has enough again", self._submitter.address)
        self.warning = warning

    def _judge(self, balance: float, sent: int, at: float) -> str:
        seconds = float("inf")
        if self._seen is not None:
            before, sent_before, since = self._seen
            spent = before - balance
            if spent > 0 and sent > sent_before:
                self._each = spent / (sent - sent_before)
                seconds = balance / spent * (at - since)
        if not self._each or (seconds >= LOW_SECONDS and balance >= LOW_TRANSACTIONS * self._each):
            return ""
        return (
            f"wallet {self._submitter.address} runs low: {balance:,.0f} left, enough for about "
            f"{balance / self._each:,.0f} transactions"
        )
