"""The double-sign gate: no validator signs here while, or what, it has signed elsewhere.

A validator that signs two votes for one height is punished and may break the chain. So before a
home is put on a host, or made anew there, its peers are asked. Blocks that they made after the old
node was stopped have to be without its signature; and what the new home may sign begins behind what
they have seen.
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
from ..asking import Object
from ..tunnel import NO_LOGIN
from ..upgrades import quorum
from ..upgrades.nodes import Seen, Way, Ways, look, reached
from . import commits
from .commits import Peer, Peers
from .reported import Reported

LOOK_THROUGH = 2_000
"""Blocks that are looked through at most for a signature of a validator that has no home."""

POLL_SECONDS = 0.3
STILL_SECONDS = 1.0
"""Without a block for this time, a transaction makes one."""

SECOND_PRECOMMIT = 3

type Keys = Mapping[str, str]


class Host(Reported):
    """The host that a home is for, the public keys of all hosts, and its peers.

    `sure` is the operator's word that no other node will ever use the key again, where peers can't
    tell.
    """

    chain_id: str
    host: str
    keys: dict[str, str]
    peers: dict[str, Way]
    sure: bool = False


class NewHome(Host):
    """When the host's home was made before, if it was; where no peer is left, that tells."""

    made: str = ""


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
    address = _address(wanted)
    with reached(_others(wanted)) as ways:
        return asyncio.run(_gate(wanted, address, ways, check=check))


def new_home(wanted: NewHome, *, check: bool) -> Object:
    """Answer whether a home may be made anew, from keys alone, for a host that has none.

    That is right for the first deployment and for a node without a vote. Raises RecoveryRefused for
    a validator whose chain already has blocks: its home was lost, and what it signed with it.
    """
    del check
    address = _address(wanted)
    with reached(_others(wanted)) as ways:
        return asyncio.run(_new_home(wanted, address, ways))


def _others(wanted: Host) -> Mapping[str, Way]:
    return {
        host: way.model_copy(update={"public_key": wanted.keys.get(host, "")})
        for host, way in wanted.peers.items()
        if host != wanted.host
    }


def _address(wanted: Host) -> str:
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
    _require_no_twin(wanted, address, peers)
    peer = peers.highest
    if peer is None or peer.height < 1:
        told = _unproven(wanted, peers, "no peer answers that has a block", check=check)
        return told | {"chain": "no other node answers: the chain stands still meanwhile"}
    async with Rpc(peer.url) as rpc:
        power = (await commits.powers(rpc)).get(wanted.keys[wanted.host], 0)
        if power == 0:
            told = _told(wanted, peers, peer.height, "it has no vote")
            return told | {"chain": f"{wanted.host} is no validator: the chain goes on"}
        if check:
            return await _before(wanted, address, peers, ways)
        # The block under way when the old node was stopped may still have its signature.
        first = peer.height + 2
        last = first + wanted.blocks - 1
        refused = await _wait(wanted, rpc, last + 1)
        height = await _height(rpc)
        seen = range(first, min(last, height - 1) + 1)
        found = await commits.signed(rpc, address, first, height - 1) if seen else []
    if found:
        raise RecoveryRefused(
            f"the validator of {wanted.host} signed block {found[-1]}, made after its node was "
            f"stopped: another node has its key ({wanted.keys[wanted.host]})",
            hint=f"find that node and end it for ever, then run this again; until then the node of "
            f"{wanted.host} has to stay stopped",
        )
    if len(seen) < wanted.blocks:
        why = f"peers made {len(seen)} blocks in {wanted.seconds:g} s, {wanted.blocks} are wanted"
        why += f" ({refused})" if refused else ""
        return _unproven(wanted, peers, why, height, check=check)
    proven = f"it signed none of the blocks {first} to {height - 1}"
    return _told(wanted, peers, height, proven) | {
        "check_blocks": wanted.blocks,
        "seconds": round(time.monotonic() - began, 1),
        "first": first,
        "last": height - 1,
        "power": power,
    }


async def _before(wanted: Gate, address: str, peers: Peers, ways: Ways) -> Object:
    """Answer before its node is stopped: without it the chain has to make the blocks that tell."""
    seen = await look(ways, wanted.chain_id)
    own = Seen(wanted.host, problem="it is to be stopped", address=address)
    without = quorum.without([wanted.host], {**seen, wanted.host: own})
    told = {"chain": without.sentence()}
    height = max(peer.height for peer in peers.there.values())
    if without.stands_still:
        down = f"; not up: {', '.join(without.down)}" if without.down else ""
        return _unproven(wanted, peers, f"{without.sentence()}{down}", height, check=True) | told
    return _told(wanted, peers, height, "nothing yet: its node may run") | told


def _require_no_twin(wanted: Host, address: str, peers: Peers) -> None:
    for host, peer in peers.there.items():
        if peer.address == address:
            raise RecoveryRefused(
                f"the node of {host} runs with the validator's key of {wanted.host}",
                hint=f"stop it (stop.yml --limit {host}); each host needs a key of its own",
            )


def _unproven(wanted: Gate, peers: Peers, why: str, height: int = 0, *, check: bool) -> Object:
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
    return _told(wanted, peers, height, f"the operator is sure; {why}")


def _told(wanted: Host, peers: Peers, height: int, proven: str) -> dict[str, Any]:
    return {
        "host": wanted.host,
        "public_key": wanted.keys[wanted.host],
        "height": height,
        "seen": _seen(height) if height else None,
        "proven": proven,
        "check_blocks": 0,
        "peers": {host: asdict(peer) for host, peer in peers.there.items()},
        "silent": dict(peers.silent),
    }


def _seen(height: int) -> Object:
    """Return the signing state of a validator that will sign nothing up to a height."""
    return {"height": str(height), "round": 0, "step": SECOND_PRECOMMIT}


async def _wait(wanted: Gate, rpc: Rpc, height: int) -> str:
    """Wait for a height; return why the chain refuses transactions, if it does."""
    deadline = time.monotonic() + wanted.seconds
    refused, newest, still = "", 0, time.monotonic()
    while (now := await _height(rpc)) < height and time.monotonic() < deadline:
        if now > newest:
            newest, still = now, time.monotonic()
        elif wanted.transactions and time.monotonic() - still > STILL_SECONDS:
            refused, still = await commits.nudge(rpc, wanted.chain_id), time.monotonic()
        await asyncio.sleep(POLL_SECONDS)
    return refused


async def _height(rpc: Rpc) -> int:
    return int((await rpc.call("status"))["sync_info"]["latest_block_height"])


async def _new_home(wanted: NewHome, address: str, ways: Ways) -> Object:
    peers = await commits.ask(ways, wanted.chain_id)
    _require_no_twin(wanted, address, peers)
    peer = peers.highest
    if peer is None or peer.height < 1:
        lost = {host: why for host, why in peers.silent.items() if why.startswith(NO_LOGIN)}
        if lost and not wanted.sure:
            raise RecoveryRefused(
                f"{wanted.host} has no home, and nobody can tell whether its validator has signed: "
                f"{'; '.join(lost.values())}",
                hint="bring those hosts up; where the network has never run, say so: "
                "-e xian_recovery_sure=true",
            )
        if wanted.made and not wanted.sure:
            raise RecoveryRefused(
                f"{wanted.host} has no home, and had one since {wanted.made}: with one made anew "
                "its validator may sign twice, and its chain would begin again",
                hint=f"put a copy of its home there: push-home.yml --limit {wanted.host} "
                "-e xian_recovery_archive=FILE; to begin again from nothing, say so: "
                "-e xian_recovery_sure=true",
            )
        return _told(wanted, peers, 0, "no peer has a block")
    async with Rpc(peer.url) as rpc:
        power = (await commits.powers(rpc)).get(wanted.keys[wanted.host], 0)
        why = "it has no vote" if power == 0 else await _never_signed(rpc, address, peer)
    if not why:
        raise RecoveryRefused(
            f"{wanted.host} has no home, and its chain has {peer.height} blocks that its validator "
            "took part in: with a home made anew it may sign twice",
            hint=f"put a copy of its home there: push-home.yml --limit {wanted.host} "
            "-e xian_recovery_archive=FILE; or let it fetch the state from its peers: "
            f"bootstrap-state-sync.yml -e xian_recovery_host={wanted.host}",
        )
    return _told(wanted, peers, peer.height, why)


async def _never_signed(rpc: Rpc, address: str, peer: Peer) -> str:
    """Say so where the whole chain is there to look through, and short: a deployment cut short."""
    if peer.base > 1 or peer.height > LOOK_THROUGH:
        return ""
    if await commits.signed(rpc, address, 1, peer.height):
        return ""
    return f"it signed none of the {peer.height} blocks that there are"
