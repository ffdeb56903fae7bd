"""The double-sign gate: no validator signs here while, or what, it has signed elsewhere.

A validator that signs two votes for one height is punished and may break the chain. So before a
home is put on a host, or made anew there, all its peers are asked. Blocks that they made after the
old node was stopped have to be without its signature; and what the new home may sign begins behind
what they have seen.

No peer has to be believed. What forbids is believed of any: a vote, or a signature. What allows is
believed of several alone: that there is no vote, that there are blocks without its signature, and
how high the chain is. So one that lies can make this refuse, and is named then, but can't open it.
"""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import Field

from ...chain.rpc import Rpc
from ...errors import RecoveryRefused
from .. import answers, heights
from ..asking import Object
from ..heights import Heights
from ..upgrades import quorum
from ..upgrades.nodes import Seen, Way, Ways, look, reached
from . import commits
from .commits import Peer, Peers
from .reported import Reported

LOOK_THROUGH = 2_000
"""Blocks that are looked through at most for a signature."""

POLL_SECONDS = 0.3
STILL_SECONDS = 1.0
"""Without a block for this time, a transaction makes one."""

SECOND_PRECOMMIT = 3

type Keys = Mapping[str, str]


class Host(Reported):
    """The host that a home is for, the public keys of all hosts, and its peers.

    `power` is the vote that the genesis gives the host: one that has none then needs no more than
    one peer to say that it has none now. `sure` is the operator's word that no other node will ever
    use the key again, where peers can't tell.
    """

    chain_id: str
    host: str
    keys: dict[str, str]
    peers: dict[str, Way]
    power: int = Field(default=1, ge=0)
    sure: bool = False


class Gate(Host):
    """How many blocks have to be without its signature, and the seconds that peers have for them.

    Where they make none by themselves, transactions that do nothing make them.
    """

    blocks: int = Field(default=3, ge=3)
    seconds: float = Field(default=90.0, gt=0)
    transactions: bool = True


def gate(wanted: Gate, *, check: bool) -> Object:
    """Answer with what the host's validator may sign from on; its own node is stopped.

    With `check` that one may still run: nothing is waited for, and so nothing is proven. Raises
    RecoveryRefused where it signs elsewhere, or where nobody can tell: with `check`, too, where the
    chain would stand still without it, and so make none of the blocks that show it.
    """
    address = address_of(wanted)
    with reached(others(wanted)) as ways:
        return asyncio.run(_gate(wanted, address, ways, check=check))


def others(wanted: Host) -> Mapping[str, Way]:
    """Return the ways to the peers, without the host itself."""
    return {
        host: way.model_copy(update={"public_key": wanted.keys.get(host, "")})
        for host, way in wanted.peers.items()
        if host != wanted.host
    }


def address_of(wanted: Host) -> str:
    """Return the validator's address; raises RecoveryRefused where two hosts have one key."""
    if wanted.host not in wanted.keys:
        raise RecoveryRefused(
            f"the network has no key for {wanted.host}", hint="run prepare-network.yml"
        )
    own = wanted.keys[wanted.host]
    twins = [host for host, key in wanted.keys.items() if key == own and host != wanted.host]
    if twins:
        raise RecoveryRefused(
            f"{wanted.host} and {', '.join(twins)} have one validator's key, {own}: "
            "both would sign",
            hint="each host needs a key of its own",
        )
    return hashlib.sha256(bytes.fromhex(own)).hexdigest()[:40].upper()


async def _gate(wanted: Gate, address: str, ways: Ways, *, check: bool) -> Object:
    began = time.monotonic()
    peers = await commits.ask(ways, wanted.chain_id)
    require_no_twin(wanted, address, peers)
    heard = peers.heights
    if heard.top < 1:
        told = _unproven(wanted, peers, "no peer answers that has a block", check=check)
        return told | {"chain": "no other node answers: the chain stands still meanwhile"}
    power, no_vote = await vote(wanted, address, peers)
    if no_vote:
        told = told_by(wanted, peers, "it has no vote", heard)
        return told | {"chain": f"{wanted.host} is no validator: the chain goes on"}
    if check:
        return await _before(wanted, address, peers, ways)
    if not heard.vouched:
        return _unproven(wanted, peers, _alone(heard), check=check)
    return await _watched(wanted, address, peers) | {
        "seconds": round(time.monotonic() - began, 1),
        "power": power,
    }


async def _watched(wanted: Gate, address: str, peers: Peers) -> Object:
    """Answer once several peers have made blocks, and show none of them with its signature."""
    # The block under way when the old node was stopped may still have its signature.
    first = peers.heights.top + 2
    last = first + wanted.blocks - 1
    heard, seen, refused = await _wait(wanted, peers, last + 1)
    behind = range(first, min(heard.top, first + LOOK_THROUGH))
    without = await without_signature(wanted, address, peers, behind, seen)
    without = [host for host in without if host in heard.tellers]
    made = min(len(behind), wanted.blocks)
    if made < wanted.blocks:
        why = f"peers made {made} blocks in {wanted.seconds:g} s, {wanted.blocks} are wanted"
        why += f" ({refused})" if refused else ""
        return _unproven(wanted, peers, why, heard, check=False)
    if len(without) < heights.SEVERAL:
        why = f"of the blocks {first} to {behind[-1]} {', '.join(without) or 'nobody'} alone tells"
        return _unproven(wanted, peers, why, heard, check=False)
    proven = f"it signed none of the blocks {first} to {behind[-1]}"
    return told_by(wanted, peers, proven, heard) | {
        "check_blocks": wanted.blocks,
        "first": first,
        "last": behind[-1],
        "shown_by": without,
    }


async def vote(wanted: Host, address: str, peers: Peers) -> tuple[int, bool]:
    """Return the greatest power that any peer tells, and whether it surely has none."""

    async def power(rpc: Rpc, peer: Peer) -> int:
        del peer
        return (await answers.powers(rpc)).get(address, 0)

    told, _ = await commits.each(peers.there.values(), power)
    greatest = max(told.values(), default=0)
    enough = 1 if wanted.power == 0 else heights.SEVERAL
    return greatest, greatest == 0 and len(told) >= enough


async def without_signature(
    wanted: Host, address: str, peers: Peers, blocks: range, seen: Mapping[str, int]
) -> list[str]:
    """Return the hosts that have all of these blocks, and show none with the signature.

    Raises RecoveryRefused where any shows one that has it. `seen` is how high each peer is.
    """

    async def signed(rpc: Rpc, peer: Peer) -> list[int]:
        there = range(blocks.start, min(blocks.stop, seen.get(peer.host, peer.height) + 1))
        return await answers.signed(rpc, address, there) if there else []

    found, _ = await commits.each(peers.there.values(), signed)
    for host, signatures in found.items():
        if signatures:
            raise RecoveryRefused(
                f"the validator of {wanted.host} signed block {signatures[-1]}, made after its "
                f"node was stopped, {host} shows: another node has its key "
                f"({wanted.keys[wanted.host]})",
                hint="find that node and end it for ever, then run this again; until then the node "
                f"of {wanted.host} has to stay stopped. Where it is {host} that lies, take {host} "
                "out of the inventory for this run",
            )
    return [host for host in found if seen.get(host, 0) + 1 >= blocks.stop]


def _alone(heard: Heights) -> str:
    told = heard.sentence()
    alone = ", ".join(f"{host} says height {height}" for host, height in heard.tellers.items())
    return f"no two peers agree how high the chain is: {'; '.join(filter(None, [alone, told]))}"


async def _before(wanted: Gate, address: str, peers: Peers, ways: Ways) -> Object:
    """Answer before its node is stopped: without it the chain has to make the blocks that tell."""
    seen = await look(ways, wanted.chain_id)
    own = Seen(wanted.host, problem="it is to be stopped", address=address)
    without = quorum.without([wanted.host], {**seen, wanted.host: own})
    told = {"chain": without.sentence()}
    heard = peers.heights
    if without.stands_still:
        down = f"; not up: {', '.join(without.down)}" if without.down else ""
        return _unproven(wanted, peers, f"{without.sentence()}{down}", heard, check=True) | told
    if not heard.vouched:
        return _unproven(wanted, peers, _alone(heard), heard, check=True) | told
    return told_by(wanted, peers, "nothing yet: its node may run", heard) | told


def require_no_twin(wanted: Host, address: str, peers: Peers) -> None:
    """Raise RecoveryRefused where a peer runs with the host's key."""
    for host, peer in peers.there.items():
        if peer.address == address:
            raise RecoveryRefused(
                f"the node of {host} runs with the validator's key of {wanted.host}",
                hint=f"stop it (stop.yml --limit {host}); each host needs a key of its own",
            )


def _unproven(
    wanted: Gate, peers: Peers, why: str, heard: Heights | None = None, *, check: bool
) -> Object:
    """Go on by the operator's word alone; CometBFT can't look back at blocks of its own."""
    if not wanted.sure:
        silent = "; ".join(f"{host}: {reason}" for host, reason in peers.silent.items())
        back = f" (start.yml --limit {wanted.host} starts the home that {wanted.host} still has)"
        raise RecoveryRefused(
            f"nobody can tell whether the validator of {wanted.host} signs elsewhere: {why}"
            f"{f' ({silent})' if silent else ''}",
            hint="bring peers up (start.yml) or send items (smoke.yml), then run this again"
            f"{'' if check else back}; where no other node will ever use this key again, say so: "
            "-e xian_recovery_sure=true",
        )
    return told_by(wanted, peers, f"the operator is sure; {why}", heard or peers.heights)


def told_by(wanted: Host, peers: Peers, proven: str, heard: Heights) -> dict[str, Any]:
    """Return what is known; `seen` is for the signing state, which is never lowered again."""
    return {
        "host": wanted.host,
        "public_key": wanted.keys[wanted.host],
        "height": heard.top,
        "seen": _seen(heard.top) if heard.top and heard.vouched else None,
        "odd": heard.sentence(),
        "proven": proven,
        "check_blocks": 0,
        "peers": {host: asdict(peer) for host, peer in peers.there.items()},
        "silent": dict(peers.silent),
    }


def _seen(height: int) -> Object:
    """Return the signing state of a validator that will sign nothing up to a height."""
    return {"height": str(height), "round": 0, "step": SECOND_PRECOMMIT}


async def _wait(wanted: Gate, peers: Peers, height: int) -> tuple[Heights, Mapping[str, int], str]:
    """Wait until several have a height; return what they have, and why transactions are refused."""
    deadline = time.monotonic() + wanted.seconds
    refused, top, still, turn = "", 0, time.monotonic(), 0
    asked = list(peers.there.values())
    up = {peer.host for peer in asked if not peer.catching_up}
    while True:
        seen, silent = await commits.newest(asked)
        asked = [peer for peer in asked if peer.host not in silent] or asked
        heard = heights.agreed({host: one for host, one in seen.items() if host in up})
        if (heard.top >= height and heard.vouched) or time.monotonic() > deadline:
            return heard, seen, refused
        if heard.top > top:
            top, still = heard.top, time.monotonic()
        elif wanted.transactions and time.monotonic() - still > STILL_SECONDS:
            # Each in its turn: one may keep it to itself.
            refused = await commits.nudge(asked[turn % len(asked)], wanted.chain_id)
            turn, still = turn + 1, time.monotonic()
        await asyncio.sleep(POLL_SECONDS)
