"""Blocks: the chain makes them while transactions wait, and the newest is not too old."""

import asyncio
import time
from datetime import UTC, datetime

from ....chain.cometbft_answers import ChainStatus
from .. import context as limits
from ..context import Context, see
from ..result import Check, State, duration


async def run(context: Context) -> list[Check]:
    """Watch the height while transactions wait for a block."""
    before = await context.chain.get()
    if before is None:
        return [see("blocks", "node")]
    after, waiting = before, await _waiting(context)
    deadline = time.monotonic() + limits.STILL_SECONDS
    while waiting and after.height == before.height and time.monotonic() < deadline:
        await asyncio.sleep(limits.POLL_SECONDS)
        after = await context.ask_node(context.node.status())
        waiting = await _waiting(context)
    return [evaluate(before, after, waiting, context.desired.block_age, datetime.now(UTC))]


async def _waiting(context: Context) -> int:
    return await context.ask_node(context.node.cometbft.waiting_transactions())


def evaluate(
    before: ChainStatus, after: ChainStatus, waiting: int, limit: float | None, now: datetime
) -> Check:
    """Return whether blocks come; `waiting` transactions were in the mempool all the time."""
    age = (now - datetime.fromisoformat(after.block_time).astimezone(UTC)).total_seconds()
    what = f"the newest is {duration(age)} old"
    hint = "see the logs of CometBFT and the app; a network needs more than 2/3 of its voting power"
    if waiting and after.height == before.height:
        return Check("blocks", State.FAILED, f"{waiting} transactions wait, {what}", hint)
    if limit is not None and age > limit:
        return Check("blocks", State.FAILED, f"{what}, at most {duration(limit)} is allowed", hint)
    return Check("blocks", State.OK, what)
