"""What the peers other than its source say of the blocks of a copied index.

The control machine asks them, once it has the copy: which heights it asks for can't be foreseen,
and the source can't change the copy any more. The host compares the index that it loads with them.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from ...chain.cometbft import CometBft
from ...chain.cometbft_answers import Digest, Height, OptionalDigest
from ...errors import RecoveryRefused
from ..network.endpoints import Endpoints, NodeAddress, open_endpoints
from ..network.peers import Peer, ask_each, find_peers
from ..network.report import Reported
from ..requests import Object
from ..snapshots.index_blocks import KnownBlock, KnownBlocks, ask_blocks, choose_heights
from .vouching_peers import select_peers

PEER_SECONDS = 300.0
"""How long a peer may take for all its headers."""

FILE_BYTES = 64 << 20
"""Bytes of a file of blocks at most: some hundred for each of a few thousand of a few peers."""


class IndexBlocks(Reported):
    """The peers, the one whose index was copied, and the height of that index.

    `node_ids` are those of network.json. The answers go into the file `target`.
    """

    chain_id: str
    peers: dict[str, NodeAddress]
    node_ids: dict[str, str]
    source: str
    height: Height = Field(ge=1)
    target: Path


class _Block(NamedTuple):
    hash: Digest
    transaction_count: Annotated[int, Field(ge=0)]
    data_hash: OptionalDigest


class _File(BaseModel):
    """The blocks as the control machine hands them to the host."""

    model_config = ConfigDict(extra="forbid")

    blocks: list[tuple[Height, _Block]]


def find_index_blocks(request: IndexBlocks, *, check: bool) -> Object:
    """Fetch the other peers' blocks into a file, to compare a copied index with.

    `source_alone` is the last height that only the source has blocks of, 0 where there is none.
    Raises RecoveryRefused where no other peer has blocks, or two contradict each other.
    """
    others = {host: way for host, way in request.peers.items() if host != request.source}
    with open_endpoints(others) as endpoints:
        said, silent = asyncio.run(_ask(request, endpoints))
    known = _merge(said)
    if not known:
        reasons = "; ".join(f"{host}: {reason}" for host, reason in silent.items())
        raise RecoveryRefused(
            f"no peer but {request.source} has a block of the index that was copied from it "
            f"({reasons or 'the inventory has no more'})",
            hint="bring another peer up that has blocks (start.yml): the copy is compared with it",
        )
    if not check:
        _write(request.target, known)
    return {
        "changed": [str(request.target)],
        "blocks": len(known),
        "first": min(known),
        "last": max(known),
        "peers": {host: len(blocks) for host, blocks in said.items()},
        "source_alone": min(known) - 1,
        "silent": silent,
    }


async def _ask(
    request: IndexBlocks, endpoints: Endpoints
) -> tuple[dict[str, dict[int, KnownBlock]], dict[str, str]]:
    selected, _ = select_peers(await find_peers(endpoints, request.chain_id), request.node_ids)

    # Each has a choice of its own: one that says it has blocks that it lacks spoils no other's.
    async def ask(node: CometBft, peer: Peer) -> dict[int, KnownBlock]:
        heights = choose_heights(peer.base, min(peer.height, request.height))
        known = await ask_blocks(node, heights)
        if missing := len(heights) - len(known):
            raise RecoveryRefused(f"it keeps back {missing} of the blocks that it says it has")
        return known

    # One that has not caught up still has what it has.
    said, silent = await ask_each(selected.witnesses.values(), ask, PEER_SECONDS)
    return {host: blocks for host, blocks in said.items() if blocks}, selected.left_out | silent


def _merge(said: Mapping[str, KnownBlocks]) -> dict[int, KnownBlock]:
    """Return all that was said; raises RecoveryRefused naming two peers that contradict."""
    known: dict[int, KnownBlock] = {}
    of: dict[int, str] = {}
    for host, blocks in said.items():
        for height, block in blocks.items():
            if known.setdefault(height, block) != block:
                raise RecoveryRefused(
                    f"the peers do not agree on block {height}: {of[height]} has "
                    f"{known[height].hash}, {host} {block.hash}",
                    hint="find out which of them is wrong before you trust any",
                )
            of.setdefault(height, host)
    return known


def _write(path: Path, known: KnownBlocks) -> None:
    file = _File(blocks=[(height, _Block(*block)) for height, block in sorted(known.items())])
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(file.model_dump_json(), encoding="utf-8")


def read_blocks(path: Path) -> KnownBlocks:
    """Return what `find_index_blocks` wrote; raises RecoveryRefused."""
    try:
        with path.open("rb") as file:
            blocks = _File.model_validate_json(file.read(FILE_BYTES)).blocks
    except (OSError, ValueError) as error:
        raise RecoveryRefused(f"{path} can't be used: {error}", hint="run this again") from error
    if not blocks:
        raise RecoveryRefused(f"{path} has no blocks to compare with", hint="run this again")
    return {height: KnownBlock(*block) for height, block in blocks}
