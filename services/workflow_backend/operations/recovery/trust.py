"""Which state a node may fetch from its peers: near a snapshot on offer, and vouched for by two.

State sync believes one block's hash and whatever follows from it. So it comes from several nodes,
which are told apart by their node ids, and no node that answers may contradict.
"""

import asyncio
import time
from dataclasses import asdict

from pydantic import Field

from ...chain.rpc import Rpc
from ...errors import NodeRefused, RecoveryRefused
from ..asking import Object, Request
from ..upgrades.nodes import Way, Ways, reached
from . import commits
from .commits import Peer, Peers
from .reported import Reported

BEYOND = 3
"""Blocks that have to follow the snapshot's: two are read with it, and one is under way."""

POLL_SECONDS = 0.3


class Offer(Request):
    """A snapshot that a peer's node has on offer."""

    height: int = Field(ge=1)
    app_hash: str = Field(pattern="^[0-9a-fA-F]{64}$")


class Index(Request):
    """The newest block of an index that a host still has."""

    height: int
    block_hash: str
    schema_version: int


class Trust(Reported):
    """The peers that are asked, and what each has on offer; `agree` of them have to vouch.

    `index` is what the host still has; it is kept where it is of this chain and reaches the state.
    """

    chain_id: str
    peers: dict[str, Way]
    offers: dict[str, list[Offer]]
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
    servers = _distinct(wanted, peers)
    await _agreed_already(servers)
    answer: Object = {
        "servers": [peer.host for peer in servers],
        "node_ids": {peer.host: peer.node_id for peer in servers},
        "silent": dict(peers.silent),
    }
    found = _newest(wanted, servers)
    if found is None and not check:
        base = max(peer.base for peer in servers)
        raise RecoveryRefused(
            f"no peer has a state on offer whose block all have: they have those from {base} on",
            hint="see xian/snapshots in the home of the peer that made one, then run this again",
        )
    if found is None:
        return answer | {"height": None, "hash": None, "app_hash": None, "offered_by": []}
    height, app_hash, hosts = found
    answer |= {"height": height, "app_hash": app_hash, "offered_by": hosts}
    if check:
        return answer | {"hash": None}
    await _wait(wanted, servers, height + BEYOND)
    block, known = await _agreed(servers, height)
    if known != app_hash:
        raise RecoveryRefused(
            f"the chain has the app hash {known} behind block {height}, the snapshot on offer at "
            f"{', '.join(hosts)} {app_hash}",
            hint="take that snapshot away from xian/snapshots in the node's home",
        )
    return answer | {
        "hash": block.upper(),
        "peers": [asdict(peer) for peer in servers],
        "keep_index": await _keeps(wanted, servers[0], height),
    }


async def _keeps(wanted: Trust, peer: Peer, height: int) -> bool:
    index = wanted.index
    if index is None or not height <= index.height <= peer.height:
        return False
    async with Rpc(peer.url) as rpc:
        answer = await rpc.call("commit", height=str(index.height))
    block = str(answer["signed_header"]["commit"]["block_id"]["hash"])
    return block.lower() == index.block_hash.lower()


def _distinct(wanted: Trust, peers: Peers) -> list[Peer]:
    """Return peers that are different nodes; one that is asked at two addresses vouches once."""
    found: dict[str, Peer] = {}
    twice = []
    for peer in peers.there.values():
        if peer.node_id in found:
            twice.append(f"{peer.host} is the same node as {found[peer.node_id].host}")
        elif not peer.catching_up and peer.height > 0:
            found[peer.node_id] = peer
    if len(found) < wanted.agree:
        silent = [f"{host}: {why}" for host, why in peers.silent.items()]
        reasons = "; ".join([*twice, *silent]) or "no more were given"
        raise RecoveryRefused(
            f"{len(found)} nodes with node ids of their own can vouch for a block, "
            f"{wanted.agree} are wanted ({reasons})",
            hint="bring more peers up (start.yml); one node can say what it likes",
        )
    return list(found.values())


def _newest(wanted: Trust, servers: list[Peer]) -> tuple[int, str, list[str]] | None:
    """Return the newest offer that all servers have the block of, and who offers it."""
    base = max(peer.base for peer in servers)
    offers = {
        (offer.height, offer.app_hash.lower())
        for host in wanted.offers
        for offer in wanted.offers[host]
        if offer.height >= base
    }
    if not offers:
        return None
    best = max(offers)
    hosts = [
        host
        for host, given in wanted.offers.items()
        if best in {(offer.height, offer.app_hash.lower()) for offer in given}
    ]
    return *best, hosts


async def _wait(wanted: Trust, servers: list[Peer], height: int) -> None:
    """Wait until all servers have a height; where the chain is idle, make it go on."""
    deadline = time.monotonic() + wanted.seconds
    refused = ""
    while True:
        low = min([await _height(peer) for peer in servers])
        if low >= height:
            return
        if time.monotonic() > deadline:
            raise RecoveryRefused(
                f"the chain is at height {low}, and has to come to {height} for this state"
                f"{f' ({refused})' if refused else ''}",
                hint="send items (smoke.yml), then run this again",
            )
        if wanted.transactions:
            async with Rpc(servers[0].url) as rpc:
                refused = await commits.nudge(rpc, wanted.chain_id)
        await asyncio.sleep(POLL_SECONDS)


async def _height(peer: Peer) -> int:
    async with Rpc(peer.url) as rpc:
        return int((await rpc.call("status"))["sync_info"]["latest_block_height"])


async def _agreed_already(servers: list[Peer]) -> None:
    """Compare the newest block that all have, so that a plan tells too where they do not agree."""
    height = min(peer.height for peer in servers) - 1  # what is behind it is in the one after it
    if height >= max(peer.base for peer in servers):
        await _agreed(servers, height)


async def _agreed(servers: list[Peer], height: int) -> tuple[str, str]:
    """Return a block's hash and the app hash behind it, which all servers have to say alike."""
    blocks = await asyncio.gather(*(_block(peer, height) for peer in servers))
    said = {peer.host: block for peer, block in zip(servers, blocks, strict=True)}
    if len(set(said.values())) > 1:
        each = "; ".join(f"{host}: block {one}, app {two}" for host, (one, two) in said.items())
        raise RecoveryRefused(
            f"the peers do not agree on block {height}: {each}",
            hint="find out which of them is wrong before you trust any",
        )
    return blocks[0]


async def _block(peer: Peer, height: int) -> tuple[str, str]:
    """Return what a peer says of a block: its hash, and the app hash behind it."""
    try:
        async with Rpc(peer.url) as rpc:
            this, after = await rpc.batch(
                [("commit", {"height": str(height)}), ("header", {"height": str(height + 1)})]
            )
    except NodeRefused as error:
        raise RecoveryRefused(
            f"{peer.host} can't vouch for block {height}: {error}",
            hint="let it catch up, or take it out of the inventory for this run",
        ) from error
    block = this["signed_header"]["commit"]["block_id"]["hash"]
    return str(block).lower(), str(after["header"]["app_hash"]).lower()
