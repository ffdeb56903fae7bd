"""The three heights after a restore: chain, index and projection, and what is missing for good."""

import asyncio
import time
from dataclasses import asdict, dataclass
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
    """How long to wait without getting nearer to one height, and which of the three there are."""

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
    """Wait until chain, index and projection are level; return their heights, or the gap.

    The time starts again with each block that the node takes in while it is catching up, and from
    then on whenever they are nearer to one height than ever: nobody knows beforehand how long that
    takes. Raises WrongChain.
    """
    del check
    deadline = ProgressDeadline(request.seconds)
    while True:
        problem = ""
        current, gap, reasons = None, None, []
        try:
            current = _read(settings, request)
        except (NodeUnavailable, NodeRefused, IndexUnavailable) as error:
            problem = error.explain()
        else:
            gap = missing(current)
            reasons = uneven(current, request)
            if current.catching_up:  # the others are further behind with each block
                deadline.record("chain", current.chain)
            else:
                deadline.record("level", -blocks_behind(current, request))
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


def uneven(current: HeightsFound, request: HeightsRequest) -> list[str]:
    """Return in words what is behind."""
    found = []
    if current.catching_up:
        found.append(f"the node is catching up, at height {current.chain}")
    if request.index and current.index != current.chain:
        found.append(f"the index is at height {current.index}, the chain at {current.chain}")
    if request.projection and current.projection != current.chain:
        found.append(
            f"the projection is at height {current.projection}, the chain at {current.chain}"
        )
    return found


def blocks_behind(current: HeightsFound, request: HeightsRequest) -> int:
    """Return by how many blocks index and projection together are behind the chain."""
    followed = [current.index] * request.index + [current.projection] * request.projection
    return sum(max(0, current.chain - (height or 0)) for height in followed)


def _read(settings: Settings, request: HeightsRequest) -> HeightsFound:
    chain = asyncio.run(_chain(settings, index=request.index))
    if not request.projection:
        return chain
    progress = projection.progress(settings)
    return HeightsFound(**(asdict(chain) | {"projection": progress.height if progress else None}))


async def _chain(settings: Settings, *, index: bool) -> HeightsFound:
    async with Rpc(settings.node_url) as rpc:
        node = Node(rpc, settings.contract)
        # The index first: the chain goes on meanwhile, and then only seems to be ahead.
        status = await node.require_chain(settings.chain_id)
        indexed = await node.index_status() if index else None
    return HeightsFound(
        catching_up=status.catching_up,
        base=status.base,
        chain=status.height,
        # An index with no block, not even the genesis, has no height; one with the genesis has 0.
        index=indexed.height if indexed and indexed.block_count else None,
        block_count=(indexed.block_count or None) if indexed else None,
        projection=None,
    )
