"""The three heights after a restore: chain, index and projection, and what is missing for good."""

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import Field

from ...chain.node import Node
from ...chain.rpc import Rpc
from ...errors import IndexUnavailable, NodeRefused, NodeUnavailable
from ...settings import Settings
from ..asking import Request
from . import projection
from .blocks import app_hash_behind
from .peers import Peer, ask_peers, require_agreement

POLL_SECONDS = 0.2

type Object = dict[str, Any]


class Levels(Request):
    """How long to wait for the three to be level, and peers whose app hash has to be the node's."""

    seconds: float = 60.0
    index: bool = True
    projection: bool = True
    peers: list[str] = Field(default_factory=list)
    agree: int = Field(default=0, ge=0)


@dataclass(frozen=True, slots=True)
class Heights:
    """What was seen; `base` is the first block that the node still has.

    `block_count` is the number of blocks in the index, the genesis among them.
    """

    catching_up: bool
    base: int
    chain: int
    index: int | None
    block_count: int | None
    projection: int | None


def levels(settings: Settings, wanted: Levels, *, check: bool) -> Object:
    """Wait until all are level, or it is clear that they never will be; return how they are.

    Raises RecoveryRefused where a peer has another app hash, WrongChain and NodeUnavailable.
    """
    del check
    deadline = time.monotonic() + wanted.seconds
    while True:
        problem = ""
        seen, gap, reasons = None, None, []
        try:
            seen = _look(settings, wanted)
        except (NodeUnavailable, NodeRefused, IndexUnavailable) as error:
            problem = error.explain()
        else:
            gap = missing(seen)
            reasons = uneven(seen, wanted)
        if seen is not None and (gap or not reasons):
            break
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    peers = _peers(settings, wanted, seen.chain - 1) if seen and seen.chain > 1 else []
    return {
        "level": seen is not None and gap is None and not reasons,
        "heights": asdict(seen) if seen else None,
        "gap": gap,
        "reasons": [problem] if problem else reasons,
        "peers": [asdict(peer) for peer in peers],
    }


def missing(seen: Heights) -> Object | None:
    """Return the blocks that the index lacks and can't get from this node any more."""
    if seen.index is None:
        return None
    if seen.index + 1 < seen.base:
        return {"first": seen.index + 1, "last": seen.base - 1, "what": _GONE.format(seen.base)}
    if seen.block_count is not None and seen.block_count < seen.index + 1:
        return {
            "first": 0,
            "last": seen.index,
            "what": _HOLES.format(seen.index + 1 - seen.block_count),
        }
    return None


_GONE = (
    "the node's blocks begin at {}: restore an index that has those before it, "
    "from a snapshot or from a peer"
)
_HOLES = "{} blocks in between are not in the index: restore one that has them all"


def uneven(seen: Heights, wanted: Levels) -> list[str]:
    """Return in words what is behind."""
    found = []
    if seen.catching_up:
        found.append(f"the node is catching up, at height {seen.chain}")
    if wanted.index and seen.index != seen.chain:
        found.append(f"the index is at height {seen.index}, the chain at {seen.chain}")
    if wanted.projection and seen.projection != seen.chain:
        found.append(f"the projection is at height {seen.projection}, the chain at {seen.chain}")
    return found


def _look(settings: Settings, wanted: Levels) -> Heights:
    chain = asyncio.run(_chain(settings, index=wanted.index))
    if not wanted.projection:
        return chain
    position = projection.position(settings)
    return Heights(**(asdict(chain) | {"projection": position.height if position else None}))


async def _chain(settings: Settings, *, index: bool) -> Heights:
    async with Rpc(settings.node_url) as rpc:
        node = Node(rpc, settings.contract)
        # The index first: the chain goes on meanwhile, and then only seems to be ahead.
        await node.require_chain(settings.chain_id)
        sync = (await rpc.call("status"))["sync_info"]
        indexed = await rpc.query("/bds_status") if index else None
    told = (indexed or {}).get("indexed") or {}
    return Heights(
        catching_up=bool(sync["catching_up"]),
        base=int(sync["earliest_block_height"]),
        chain=int(sync["latest_block_height"]),
        index=told.get("indexed_height"),
        block_count=told.get("indexed_block_count"),
        projection=None,
    )


def _peers(settings: Settings, wanted: Levels, height: int) -> list[Peer]:
    if not wanted.peers:
        return []

    async def own() -> str:
        async with Rpc(settings.node_url) as rpc:
            return await app_hash_behind(rpc, height, height + 1)

    peers = ask_peers(wanted.peers, settings.chain_id, height)
    require_agreement(height, asyncio.run(own()), peers, wanted.agree)
    return peers
