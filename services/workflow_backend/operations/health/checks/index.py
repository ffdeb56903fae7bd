"""Index: its database answers, no block is missing, and it keeps up with the chain."""

import asyncio
import time

from ....chain.index_answers import IndexStatus
from ....chain.node import LAG_LIMIT
from .. import context as limits
from ..context import Context, see
from ..result import Check, State


async def run(context: Context) -> list[Check]:
    """Watch the index until it is level or moves; the projection's check needs its height."""
    try:
        if not context.desired.index:
            return []
        chain = await context.chain.get()
        if chain is None:
            return [see("index", "node")]
        before = after = await _status(context)
        deadline = time.monotonic() + limits.STILL_SECONDS
        while (
            (after.lag or after.ahead)
            and after.height == before.height
            and time.monotonic() < deadline
        ):
            await asyncio.sleep(limits.POLL_SECONDS)
            after = await _status(context)
        context.indexed_height.learn(after.height)
        context.index_catching_up.learn(after.height if after.lag > LAG_LIMIT else None)
        return [evaluate(before, after, limits.STILL_SECONDS, chain.base)]
    finally:
        context.indexed_height.learn(None)
        context.index_catching_up.learn(None)


async def _status(context: Context) -> IndexStatus:
    return await context.ask_node(context.node.index_status())


def evaluate(before: IndexStatus, after: IndexStatus, seconds: float, base: int = 1) -> Check:
    """Return how the index is, by its status at two times that are `seconds` apart at most.

    `base` is the oldest block that the node still has. Older ones can't be indexed any more.
    """
    if not after.healthy:
        return Check(
            "index",
            State.FAILED,
            f"its database does not answer: {after.problem or 'no reason given'}",
            "see that PostgreSQL runs, and its log",
        )
    if missing := _missing_for_good(after, base):
        return Check(
            "index",
            State.FAILED,
            missing,
            "restore an index that has them: from a snapshot, or from another node's",
        )
    if after.ahead and after.height == before.height:
        return Check(
            "index",
            State.FAILED,
            f"it has {after.ahead} blocks that the node does not have, up to {after.height}",
            "wait if the node is still fetching them; if its home is an older one and nobody has "
            "those blocks, remove index and projection, they are rebuilt: docs/runbooks.md, a "
            "single validator's older home",
        )
    what = f"height {after.height}, {after.lag} blocks behind, {after.spooled} in the spool"
    if after.lag and after.height == before.height:
        reason = f" ({after.problem})" if after.problem else ""
        return Check(
            "index",
            State.FAILED,
            f"wedged: {what}, and it has not moved for {seconds:g} s{reason}",
            "the app's log names the block and why: grep BDS; restarting the app reads it again",
        )
    if after.lag > LAG_LIMIT:
        return Check("index", State.WARNING, f"slow but moving: {what}", "wait until it is level")
    return Check("index", State.OK, what)


def _missing_for_good(status: IndexStatus, base: int) -> str:
    """Name the blocks that the index lacks and that its node can't give it any more."""
    if status.height + 1 < base:
        return f"it lacks the blocks {status.height + 1} to {base - 1}, which the node lacks too"
    if status.holes:
        return f"{status.holes} of the blocks up to {status.height} are not in it"
    return ""
