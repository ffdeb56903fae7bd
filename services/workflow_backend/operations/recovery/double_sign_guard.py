"""The double-sign guard: no validator signs here while, or what, it has signed elsewhere.

A validator that signs two votes for one height is punished and may break the chain. So before a
home comes to a host, or is created there, all its peers are asked. Blocks that they made after the
old node was stopped must not have its signature, and the new home may sign only above the height
that the peers have seen.

No peer has to be believed. Any single one can forbid: by a voting power, or a signature. It takes
several to allow: that there is no voting power, that blocks are without the signature, and how high
the chain is. So one that lies can make this refuse, and is named then, but can't make it allow.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from pydantic import Field

from ...errors import RecoveryRefused
from ..network import quorum
from ..network.endpoints import Endpoints, NodeAddress, open_endpoints, validator_address
from ..network.heights import MIN_CONFIRMATIONS, ChainHeight, agree_on_height
from ..network.node_status import NodeStatus, read_statuses
from ..network.peers import Peers, find_peers, newest_heights
from ..network.report import Reported
from ..requests import Object
from .block_requests import request_block
from .validator_commits import MAX_BLOCKS, read_power, require_unsigned

POLL_SECONDS = 0.3

IDLE_SECONDS = 1.0
"""A chain without a block for this time gets a transaction that makes one."""

SECOND_PRECOMMIT = 3


class GuardedHost(Reported):
    """The host that a home is for, the public keys of all hosts, and its peers.

    `power` is what the genesis gives the host: where that is none, and the network has a single
    other host, that one can confirm it. `sure` is the operator's word that no other node will ever
    use the key again, for where peers can't tell.
    """

    chain_id: str
    host: str
    keys: dict[str, str]
    peers: dict[str, NodeAddress]
    power: int = Field(default=1, ge=0)
    sure: bool = False

    @property
    def others(self) -> Collection[str]:
        """The hosts of the network that can know the host's validator, reached or not."""
        return self.keys.keys() - {self.host}

    @property
    def confirmations(self) -> int:
        """How many peers have to say that the host's validator has no power.

        The chain may have given it votes since the genesis, so one peer is not believed where
        another could be asked: that it is down now does not make the first one honest.
        """
        return 1 if self.power == 0 and len(self.others) == 1 else MIN_CONFIRMATIONS


class DoubleSignGuard(GuardedHost):
    """How many blocks have to be without its signature, and the seconds that peers have for them.

    On an idle chain transactions that do nothing make the blocks.
    """

    blocks: int = Field(default=3, ge=3)
    seconds: float = Field(default=90.0, gt=0)
    transactions: bool = True


def guard(request: DoubleSignGuard, *, check: bool) -> Object:
    """Prove that no other node signs with a validator's key; return the height it may sign above.

    With `check` its node may still run: nothing is waited for, and so nothing is proven. Raises
    RecoveryRefused where the validator signs elsewhere, or nobody can tell. With `check` that
    includes a chain that would stand still without it, and make no block that tells.
    """
    validator = require_own_key(request)
    with open_endpoints(other_nodes(request)) as endpoints:
        return asyncio.run(_guard(request, validator, endpoints, check=check))


def other_nodes(request: GuardedHost) -> Mapping[str, NodeAddress]:
    """Return the peers without the host itself, each with its public key."""
    return {
        host: node.model_copy(update={"public_key": request.keys.get(host, "")})
        for host, node in request.peers.items()
        if host != request.host
    }


def require_own_key(request: GuardedHost) -> str:
    """Return the validator's address; raises RecoveryRefused where two hosts have one key."""
    if request.host not in request.keys:
        raise RecoveryRefused(
            f"the network has no key for {request.host}", hint="run prepare-network.yml"
        )
    own = request.keys[request.host]
    twins = [host for host, key in request.keys.items() if key == own and host != request.host]
    if twins:
        raise RecoveryRefused(
            f"{request.host} and {', '.join(twins)} have one validator's key, {own}: "
            "both would sign",
            hint="each host needs a key of its own",
        )
    return validator_address(own)


async def _guard(
    request: DoubleSignGuard, validator: str, endpoints: Endpoints, *, check: bool
) -> Object:
    began = time.monotonic()
    peers = await find_peers(endpoints, request.chain_id)
    require_key_unused(request, validator, peers)
    chain = peers.chain_height
    if chain.ceiling < 1:
        answer = _unproven(request, peers, "no peer answers that has a block", check=check)
        return answer | {"chain": "no other node answers: the chain stands still meanwhile"}
    power = await read_power(validator, peers)
    if power.is_none(request.confirmations):
        answer = describe(request, peers, power.without(), chain)
        return answer | {"chain": f"{request.host}: {power.without()}; the chain goes on"}
    if check:
        return await _rehearse(request, validator, peers, endpoints)
    if not chain.is_confirmed:
        return _unproven(request, peers, _unconfirmed(chain), check=check)
    return await _prove(request, validator, peers) | {
        "seconds": round(time.monotonic() - began, 1),
        "power": power.greatest,
    }


async def _prove(request: DoubleSignGuard, validator: str, peers: Peers) -> Object:
    """Answer once several peers have made blocks, and none of them shows its signature."""
    # The block under way when the old node was stopped may still have its signature, wherever it
    # was. Who says a height above all others can delay the proof by as many blocks.
    began_at = peers.chain_height
    first = began_at.ceiling + 2
    last = first + request.blocks - 1
    chain, newest, refusal = await _wait(request, peers, last + 1)
    blocks = range(first, min(chain.height, first + MAX_BLOCKS))
    shown_by = await require_unsigned(request.host, validator, peers, blocks, newest)
    shown_by = [host for host in shown_by if host in chain.confirmed_by]
    made = min(len(blocks), request.blocks)
    if made < request.blocks:
        why = f"peers made {made} blocks in {request.seconds:g} s, it takes {request.blocks}"
        why += f" ({refusal})" if refusal else ""
        why += began_at.describe_leader()
        return _unproven(request, peers, why, chain, check=False)
    if len(shown_by) < MIN_CONFIRMATIONS:
        why = f"only {', '.join(shown_by) or 'nobody'} shows the blocks {first} to {blocks[-1]}"
        return _unproven(request, peers, why, chain, check=False)
    proven = f"it signed none of the blocks {first} to {blocks[-1]}"
    return describe(request, peers, proven, chain) | {
        # Several have it, and it is above all that any said when the old node was stopped.
        "height": chain.height,
        "seen": _signing_state(chain.height),
        "check_blocks": request.blocks,
        "first": first,
        "last": blocks[-1],
        "shown_by": shown_by,
    }


def _unconfirmed(chain: ChainHeight) -> str:
    claims = ", ".join(
        f"{host} says height {height}" for host, height in chain.confirmed_by.items()
    )
    reasons = "; ".join(filter(None, [claims, chain.describe_outliers()]))
    return f"no two peers agree how high the chain is: {reasons}"


async def _rehearse(
    request: DoubleSignGuard, validator: str, peers: Peers, endpoints: Endpoints
) -> Object:
    """Answer before its node is stopped: the chain has to go on without it, or nothing can tell."""
    statuses = await read_statuses(endpoints, request.chain_id)
    own = NodeStatus(request.host, problem="it is to be stopped", validator=validator)
    power = quorum.remaining_power([request.host], {**statuses, request.host: own})
    meanwhile = {"chain": power.sentence()}
    chain = peers.chain_height
    if power.stands_still:
        down = f"; not up: {', '.join(power.down)}" if power.down else ""
        why = f"{power.sentence()}{down}"
    elif not chain.is_confirmed:
        why = _unconfirmed(chain)
    else:
        return describe(request, peers, "nothing yet: its node may run", chain) | meanwhile
    return _unproven(request, peers, why, chain, check=True) | meanwhile


def require_key_unused(request: GuardedHost, validator: str, peers: Peers) -> None:
    """Raise RecoveryRefused where a peer runs with the host's key."""
    for host, peer in peers.answering.items():
        if peer.validator == validator:
            raise RecoveryRefused(
                f"the node of {host} runs with the validator's key of {request.host}",
                hint=f"stop it (stop.yml --limit {host}); each host needs a key of its own",
            )


def _unproven(
    request: GuardedHost, peers: Peers, why: str, chain: ChainHeight | None = None, *, check: bool
) -> Object:
    """Go on by the operator's word alone; CometBFT can't check blocks that it does not have."""
    if not request.sure:
        silent = "; ".join(f"{host}: {reason}" for host, reason in peers.silent.items())
        back = f" (start.yml --limit {request.host} starts the home that {request.host} still has)"
        raise RecoveryRefused(
            f"nobody can tell whether the validator of {request.host} signs elsewhere: {why}"
            f"{f' ({silent})' if silent else ''}",
            hint="bring peers up (start.yml) or send items (smoke.yml), then run this again"
            f"{'' if check else back}; where no other node will ever use this key again, say so: "
            "-e xian_recovery_sure=true",
        )
    return describe(request, peers, f"the operator is sure; {why}", chain or peers.chain_height)


def describe(request: GuardedHost, peers: Peers, proven: str, chain: ChainHeight) -> dict[str, Any]:
    """Return what is known; `seen` is for the signing state, which is never lowered again."""
    return {
        "host": request.host,
        "public_key": request.keys[request.host],
        "height": chain.ceiling,
        "seen": _signing_state(chain.ceiling) if chain.ceiling and chain.is_confirmed else None,
        "outliers": chain.describe_outliers(),
        "proven": proven,
        "check_blocks": 0,
        "peers": {host: asdict(peer) for host, peer in peers.answering.items()},
        "silent": dict(peers.silent),
    }


def _signing_state(height: int) -> Object:
    """Return the signing state of a validator that will sign nothing up to a height."""
    return {"height": str(height), "round": 0, "step": SECOND_PRECOMMIT}


async def _wait(
    request: DoubleSignGuard, peers: Peers, height: int
) -> tuple[ChainHeight, Mapping[str, int], str]:
    """Wait until several peers have a height; return the heights, and why transactions fail."""
    deadline = time.monotonic() + request.seconds
    refusal, top, top_since, turn = "", 0, time.monotonic(), 0
    asked = list(peers.answering.values())
    caught_up = {peer.host for peer in asked if not peer.catching_up}
    while True:
        newest, silent = await newest_heights(asked)
        asked = [peer for peer in asked if peer.host not in silent] or asked
        chain = agree_on_height(
            {host: height for host, height in newest.items() if host in caught_up}
        )
        if (chain.height >= height and chain.is_confirmed) or time.monotonic() > deadline:
            return chain, newest, refusal
        if chain.height > top:
            top, top_since = chain.height, time.monotonic()
        elif request.transactions and time.monotonic() - top_since > IDLE_SECONDS:
            # Each peer in its turn: one may keep the transaction to itself.
            refusal = await request_block(asked[turn % len(asked)], request.chain_id)
            turn, top_since = turn + 1, time.monotonic()
        await asyncio.sleep(POLL_SECONDS)
