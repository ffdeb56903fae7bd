"""Which state a node may fetch from its peers: near a snapshot on offer, and vouched for by two.

State sync believes one block's hash and whatever follows from it. So it comes from several nodes,
whose node ids are those of network.json, and no node of the network that answers may contradict.
One that says what can't be is named and left out, where others are enough.
"""

import asyncio
import time
from dataclasses import asdict
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from ...errors import RecoveryRefused
from .. import answers
from ..asking import Object, Request
from ..upgrades.nodes import Way, Ways, reached
from . import commits
from .reported import Reported
from .witnesses import Asked, blocks, require_one, tell_apart

BEYOND = 3
"""Blocks that have to follow the snapshot's: two are read with it, and one is under way."""

POLL_SECONDS = 0.3

OFFERS = 100
"""Snapshots that a peer may have on offer; a node keeps far fewer."""


class Offer(Request):
    """A snapshot that a peer's node has on offer."""

    height: answers.Height = Field(ge=1)
    app_hash: answers.Digest


_Offers = TypeAdapter(list[Offer])


class Index(Request):
    """The newest block of an index that a host still has."""

    height: int
    block_hash: str
    schema_version: int


class Trust(Reported):
    """The peers that are asked, and what each has on offer; `agree` of them have to vouch.

    `node_ids` are those of network.json. `offers` is what the hosts say, and may be anything.
    `index` is what the host still has; it is kept where it is of this chain and reaches the state.
    """

    chain_id: str
    peers: dict[str, Way]
    node_ids: dict[str, str]
    offers: dict[str, Any]
    index: Index | None = None
    agree: int = Field(default=2, ge=2)
    seconds: float = Field(default=60.0, gt=0)
    transactions: bool = True


def trust(wanted: Trust, *, check: bool) -> Object:
    """Answer with the height and hash to be trusted, and the hosts that vouch for them.

    Raises RecoveryRefused where too few vouch, where any contradicts, and where nothing is on
    offer.
    """
    with reached(wanted.peers) as ways:
        return asyncio.run(_trust(wanted, ways, check=check))


async def _trust(wanted: Trust, ways: Ways, *, check: bool) -> Object:
    peers = await commits.ask(ways, wanted.chain_id)
    asked, top = tell_apart(peers, wanted.node_ids)
    asked.require(wanted.agree)
    await _agreed_already(wanted, asked)
    offers = _offers(wanted, asked, top)
    found = None if check else await _choose(wanted, asked, offers)
    answer: Object = {
        "servers": list(asked.servers),
        "node_ids": {host: peer.node_id for host, peer in asked.servers.items()},
        "silent": dict(asked.left_out),
    }
    if found is None:
        if not check:
            base = min(peer.base for peer in asked.servers.values())
            raise RecoveryRefused(
                "no peer has a state on offer whose block enough of them have: they have those "
                f"from {base} on{asked.because()}",
                hint="see xian/snapshots in the home of the peer that made one, then run again",
            )
        newest = next(iter(offers), None)
        return answer | {
            "height": newest and newest[0],
            "hash": None,
            "app_hash": newest and newest[1],
            "offered_by": offers[newest] if newest else [],
        }
    height, app_hash, block = found
    return answer | {
        "height": height,
        "app_hash": app_hash,
        "offered_by": offers[height, app_hash],
        "hash": block.upper(),
        "peers": [asdict(peer) for peer in asked.servers.values()],
        "keep_index": await _keeps(wanted, asked, height),
    }


async def _keeps(wanted: Trust, asked: Asked, height: int) -> bool:
    """Whether the index has all up to the state, and its newest block is the chain's."""
    index = wanted.index
    if index is None or index.height < height:
        return False
    said, _ = await blocks(asked, index.height)
    require_one(said, index.height)
    hashes = {block for block, _ in said.values()}
    return len(said) >= wanted.agree and hashes == {index.block_hash.lower()}


type _Offered = dict[tuple[int, str], list[str]]


def _offers(wanted: Trust, asked: Asked, top: int) -> _Offered:
    """Return who offers which state, the newest first, of those whose block there can be."""
    found: _Offered = {}
    for host, given in wanted.offers.items():
        if not isinstance(given, list) or len(given) > OFFERS:
            asked.left_out.setdefault(host, "what it offers is no list of states")
            continue
        try:
            offers = _Offers.validate_python(given)
        except ValidationError:
            asked.left_out.setdefault(host, "what it offers is no state of a chain")
            continue
        for offer in offers:
            if offer.height > top:
                why = f"it offers a state of block {offer.height}, the chain is at {top}"
                asked.left_out.setdefault(host, why)
            elif host not in found.setdefault((offer.height, offer.app_hash), []):
                found[offer.height, offer.app_hash].append(host)
    return dict(sorted(found.items(), reverse=True))


async def _choose(wanted: Trust, asked: Asked, offers: _Offered) -> tuple[int, str, str] | None:
    """Return the newest state that peers vouch for, and its block's hash."""
    known: dict[int, tuple[str, str]] = {}
    for height, app_hash in offers:
        having = [host for host, peer in asked.servers.items() if peer.base <= height]
        if len(having) < wanted.agree:
            continue
        if height not in known:
            await _wait(wanted, asked, height + BEYOND)
            said, silent = await blocks(asked, height)
            known[height] = require_one(said, height)
            for host, why in silent.items():
                asked.leave_out(host, why)
            asked.require(wanted.agree)
        block, true_hash = known[height]
        if app_hash == true_hash:
            for host in [host for host in asked.servers if host not in having]:
                asked.leave_out(host, f"its blocks begin behind {height}")
            return height, app_hash, block
        for host in offers[height, app_hash]:
            asked.left_out[host] = (
                f"it offers a state of block {height} with the app hash {app_hash}, the chain has "
                f"{true_hash}"
            )
    return None


async def _wait(wanted: Trust, asked: Asked, height: int) -> None:
    """Wait until the servers have a height; where the chain is idle, make it go on.

    Who has not come there in time is left out, where enough others have.
    """
    deadline = time.monotonic() + wanted.seconds
    refused, turn = "", 0
    while True:
        peers = list(asked.servers.values())
        seen, silent = await commits.newest(peers)
        there = [host for host, newest in seen.items() if newest >= height]
        if len(there) == len(peers):
            return
        if time.monotonic() > deadline:
            break
        if wanted.transactions:
            refused = await commits.nudge(peers[turn % len(peers)], wanted.chain_id)
            turn += 1
        await asyncio.sleep(POLL_SECONDS)
    if len(there) < wanted.agree:
        low = max(seen.values(), default=0)
        raise RecoveryRefused(
            f"the chain is at height {low}, and has to come to {height} for this state"
            f"{f' ({refused})' if refused else ''}",
            hint="send items (smoke.yml), then run this again",
        )
    for peer in peers:
        if peer.host not in there:
            why = silent.get(peer.host, f"it stays at height {seen.get(peer.host)}")
            asked.leave_out(peer.host, why)


async def _agreed_already(wanted: Trust, asked: Asked) -> None:
    """Compare the newest block that all have, so that a plan tells too where they do not agree."""
    # What is behind a block is in the one after it.
    height = min(peer.height for peer in asked.servers.values()) - 1
    if height < 1:
        return
    said, silent = await blocks(asked, height)
    require_one(said, height)
    for host, why in silent.items():
        asked.leave_out(host, why)
    asked.require(wanted.agree)
