"""The height and hash that a node may trust when it fetches its state from its peers.

State sync believes one block's hash and whatever follows from it. So several nodes have to vouch
for the hash, with the node ids of network.json, and no node that answers may contradict. A node
that says what can't be true is named and left out, where enough others remain.
"""

import asyncio
import time
from dataclasses import asdict
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from ...chain.cometbft_answers import Digest, Height
from ...errors import RecoveryRefused
from ..network.endpoints import Endpoints, NodeAddress, open_endpoints
from ..network.peers import find_peers, newest_heights
from ..network.report import Reported
from ..requests import Object, Request
from .block_requests import request_block
from .rollback_guard import IndexedBlock
from .vouching_peers import (
    BlockClaim,
    VouchingPeers,
    ask_block,
    require_one_claim,
    select_peers,
)

BLOCKS_AFTER = 3
"""Blocks that have to follow the snapshot's: two are read with it, and one is under way."""

POLL_SECONDS = 0.3

MAX_OFFERS = 100
"""Snapshots that a peer may have on offer; a node keeps far fewer."""


class Offer(Request):
    """A snapshot that a peer's node has on offer."""

    height: Height = Field(ge=1)
    app_hash: Digest


_OFFERS = TypeAdapter(list[Offer])


class TrustedHeight(Reported):
    """The peers that are asked, and what each has on offer; `agree` of them have to vouch.

    `node_ids` are those of network.json. `offers` is what the hosts say, and may be anything.
    `index` is the newest block of the index that the host still has. That index is kept where it is
    of this chain and reaches the state.
    """

    chain_id: str
    peers: dict[str, NodeAddress]
    node_ids: dict[str, str]
    offers: dict[str, Any]
    index: IndexedBlock | None = None
    agree: int = Field(default=2, ge=2)
    seconds: float = Field(default=60.0, gt=0)
    transactions: bool = True


def find_trusted_height(request: TrustedHeight, *, check: bool) -> Object:
    """Find the height and hash that a state sync trusts, and the peers that vouch for them.

    Raises RecoveryRefused where too few vouch, any contradicts, or nothing is on offer.
    """
    with open_endpoints(request.peers) as endpoints:
        return asyncio.run(_find(request, endpoints, check=check))


async def _find(request: TrustedHeight, endpoints: Endpoints, *, check: bool) -> Object:
    peers = await find_peers(endpoints, request.chain_id)
    selected, top = select_peers(peers, request.node_ids)
    selected.require(request.agree)
    await _require_agreement_now(request, selected)
    offers = _valid_offers(request, selected, top)
    chosen = None if check else await _choose(request, selected, offers)
    answer: Object = {
        "servers": list(selected.servers),
        "node_ids": {host: peer.node_id for host, peer in selected.servers.items()},
        "silent": dict(selected.left_out),
    }
    if chosen is None:
        if not check:
            base = min(peer.base for peer in selected.servers.values())
            raise RecoveryRefused(
                "no peer has a state on offer whose block enough of them have: they have those "
                f"from {base} on{selected.reasons()}",
                hint="see xian/snapshots in the home of the peer that made one, then run again",
            )
        newest = next(iter(offers), None)
        return answer | {
            "height": newest and newest[0],
            "hash": None,
            "app_hash": newest and newest[1],
            "offered_by": offers[newest] if newest else [],
        }
    height, claim = chosen
    return answer | {
        "height": height,
        "app_hash": claim.app_hash,
        "offered_by": offers[height, claim.app_hash],
        "hash": claim.block_hash.upper(),
        "peers": [asdict(peer) for peer in selected.servers.values()],
        "keep_index": await _keeps_index(request, selected, height),
    }


async def _keeps_index(request: TrustedHeight, selected: VouchingPeers, height: int) -> bool:
    """Whether the index has all blocks up to the state, and its newest block is the chain's."""
    index = request.index
    if index is None or index.height < height:
        return False
    claims, _ = await ask_block(selected, index.height)
    require_one_claim(claims, index.height)
    hashes = {claim.block_hash for claim in claims.values()}
    return len(claims) >= request.agree and hashes == {index.block_hash.lower()}


type _Offers = dict[tuple[int, str], list[str]]


def _valid_offers(request: TrustedHeight, selected: VouchingPeers, top: int) -> _Offers:
    """Return who offers which state, the newest first, of the blocks that the chain can have."""
    found: _Offers = {}
    for host, given in request.offers.items():
        if not isinstance(given, list) or len(given) > MAX_OFFERS:
            selected.left_out.setdefault(host, "what it offers is not a list of states")
            continue
        try:
            offers = _OFFERS.validate_python(given)
        except ValidationError:
            selected.left_out.setdefault(host, "what it offers is not a state of a chain")
            continue
        for offer in offers:
            if offer.height > top:
                reason = f"it offers a state of block {offer.height}, the chain is at {top}"
                selected.left_out.setdefault(host, reason)
            elif host not in found.setdefault((offer.height, offer.app_hash), []):
                found[offer.height, offer.app_hash].append(host)
    return dict(sorted(found.items(), reverse=True))


async def _choose(
    request: TrustedHeight, selected: VouchingPeers, offers: _Offers
) -> tuple[int, BlockClaim] | None:
    """Return the newest state that peers vouch for."""
    vouched: dict[int, BlockClaim] = {}
    for height, app_hash in offers:
        having = [host for host, peer in selected.servers.items() if peer.base <= height]
        if len(having) < request.agree:
            continue
        if height not in vouched:
            await _wait(request, selected, height + BLOCKS_AFTER)
            vouched[height] = await _vouched_block(request, selected, height)
        claim = vouched[height]
        if app_hash == claim.app_hash:
            for host in [host for host in selected.servers if host not in having]:
                selected.leave_out(host, f"its blocks begin after {height}")
            return height, claim
        for host in offers[height, app_hash]:
            selected.left_out[host] = (
                f"it offers a state of block {height} with the app hash {app_hash}, the chain has "
                f"{claim.app_hash}"
            )
    return None


async def _vouched_block(
    request: TrustedHeight, selected: VouchingPeers, height: int
) -> BlockClaim:
    """Return what enough servers say of a block, and leave out those that say nothing."""
    claims, silent = await ask_block(selected, height)
    claim = require_one_claim(claims, height)
    for host, reason in silent.items():
        selected.leave_out(host, reason)
    selected.require(request.agree)
    return claim


async def _wait(request: TrustedHeight, selected: VouchingPeers, height: int) -> None:
    """Wait until the servers have a height, on an idle chain with transactions that make blocks.

    A server that is not there in time is left out, where enough others are.
    """
    deadline = time.monotonic() + request.seconds
    refusal, turn = "", 0
    while True:
        peers = list(selected.servers.values())
        newest, silent = await newest_heights(peers)
        there = [host for host, top in newest.items() if top >= height]
        if len(there) == len(peers):
            return
        if time.monotonic() > deadline:
            break
        if request.transactions:
            refusal = await request_block(peers[turn % len(peers)], request.chain_id)
            turn += 1
        await asyncio.sleep(POLL_SECONDS)
    if len(there) < request.agree:
        top = max(newest.values(), default=0)
        raise RecoveryRefused(
            f"the chain is at height {top}, and has to come to {height} for this state"
            f"{f' ({refusal})' if refusal else ''}",
            hint="send items (smoke.yml), then run this again",
        )
    for peer in peers:
        if peer.host not in there:
            reason = silent.get(peer.host, f"it stays at height {newest.get(peer.host)}")
            selected.leave_out(peer.host, reason)


async def _require_agreement_now(request: TrustedHeight, selected: VouchingPeers) -> None:
    """Compare the newest block that all servers have, so that a plan says where they differ."""
    # The app hash after a block is in the next one.
    height = min(peer.height for peer in selected.servers.values()) - 1
    if height >= 1:
        await _vouched_block(request, selected, height)
