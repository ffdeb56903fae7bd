"""The three heights after a restore: chain, index and projection, and what is missing for good."""

import asyncio
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...chain.node import Node
from ...chain.rpc import Rpc
from ...errors import IndexUnavailable, NodeRefused, NodeUnavailable
from ...settings import Settings
from ..progress_deadline import ProgressDeadline
from ..requests import Request
from . import projection

POLL_SECONDS = 0.2

type Object = dict[str, Any]


class HeightsRequest(Request):
    """How long to wait while nothing gets further, and which of the three heights there are."""

    seconds: float = 60.0
    index: bool = True
    projection: bool = True


@dataclass(frozen=True, slots=True)
class HeightsFound:
    """The heights at one moment; `base` is the first block that the node still has.

    `block_count` is the number of blocks in the index, the genesis among them.
    """

    catching_up: bool
    base: int
    chain: int
    index: int | None
    block_count: int | None
    projection: int | None


def heights(settings: Settings, request: HeightsRequest, *, check: bool) -> Object:
    """Wait until index and projection have followed the chain; return their heights, or the gap.

    They have to reach the height at which the node had caught up. On a busy chain they are always
    some blocks behind. The time starts again with each block that one of them takes in, and with
    each of the node's while it is catching up: nobody knows beforehand how long that takes. Raises
    WrongChain.
    """
    del check
    deadline = ProgressDeadline(request.seconds)
    goal: int | None = None
    while True:
        problem = ""
        current, gap, reasons = None, None, []
        try:
            current = _read(settings, request)
        except (NodeUnavailable, NodeRefused, IndexUnavailable) as error:
            problem = error.explain()
        else:
            if goal is None and not current.catching_up:
                goal = current.chain
            gap = missing(current)
            reasons = uneven(current, request, goal)
            _record(deadline, current)
        if current is not None and (gap or not reasons):
            break
        if deadline.has_passed:
            break
        time.sleep(POLL_SECONDS)
    return {
        "level": current is not None and gap is None and not reasons,
        "heights": asdict(current) if current else None,
        "gap": gap,
        "reasons": [problem] if problem else reasons,
    }


def _record(deadline: ProgressDeadline, current: HeightsFound) -> None:
    if current.catching_up:
        deadline.record("chain", current.chain)
    for name, height in (("index", current.index), ("projection", current.projection)):
        if height is not None and height <= current.chain:
            deadline.record(name, height)


def missing(current: HeightsFound) -> Object | None:
    """Return the blocks that the index lacks and can't get from this node any more."""
    if current.index is None:
        return None
    if current.index + 1 < current.base:
        return {
            "first": current.index + 1,
            "last": current.base - 1,
            "what": _GONE.format(current.base),
        }
    if current.block_count is not None and current.block_count < current.index + 1:
        return {
            "first": 0,
            "last": current.index,
            "what": _HOLES.format(current.index + 1 - current.block_count),
        }
    return None


_GONE = (
    "the node's blocks begin at {}: restore an index that has those before it, "
    "from a snapshot or from a peer"
)
_HOLES = "{} blocks in between are not in the index: restore one that has them all"


def uneven(current: HeightsFound, request: HeightsRequest, goal: int | None = None) -> list[str]:
    """Return in words what has not reached the goal, the chain's height where there is none yet.

    What is above the chain is of another history.
    """
    found = []
    if current.catching_up:
        found.append(f"the node is catching up, at height {current.chain}")
    followers = [("index", current.index)] * request.index
    followers += [("projection", current.projection)] * request.projection
    lowest = current.chain if goal is None else min(goal, current.chain)
    found += [
        f"the {name} is at height {height}, the chain at {current.chain}"
        for name, height in followers
        if height is None or not lowest <= height <= current.chain
    ]
    return found


def _read(settings: Settings, request: HeightsRequest) -> HeightsFound:
    # The chain goes on meanwhile, and what follows it must not seem to be ahead: it comes last.
    progress = projection.progress(settings) if request.projection else None
    chain = asyncio.run(_chain(settings, index=request.index))
    return replace(chain, projection=progress.height if progress else None)


async def _chain(settings: Settings, *, index: bool) -> HeightsFound:
    async with Rpc(settings.node_url) as rpc:
        node = Node(rpc, settings.contract)
        indexed = await node.index_status() if index else None
        status = await node.require_chain(settings.chain_id)
    return HeightsFound(
        catching_up=status.catching_up,
        base=status.base,
        chain=status.height,
        # An index with no block, not even the genesis, has no height; one with the genesis has 0.
        index=indexed.height if indexed and indexed.block_count else None,
        block_count=(indexed.block_count or None) if indexed else None,
        projection=None,
    )
