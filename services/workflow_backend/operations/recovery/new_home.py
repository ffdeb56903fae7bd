"""A home that is made anew, from keys alone: only for a validator that has surely never signed."""

import asyncio

from ...errors import RecoveryRefused
from .. import heights
from ..asking import Object
from ..tunnel import NO_LOGIN
from ..upgrades.nodes import Ways, reached
from . import commits, gate
from .commits import Peers


class NewHome(gate.Host):
    """When the host's home was made before, if it was; where no peer is left, that tells."""

    made: str = ""


def new_home(wanted: NewHome, *, check: bool) -> Object:
    """Answer whether a home may be made anew, from keys alone, for a host that has none.

    That is right for the first deployment and for a node without a vote. Raises RecoveryRefused for
    a validator whose chain already has blocks: its home was lost, and what it signed with it.
    """
    del check
    address = gate.address_of(wanted)
    with reached(gate.others(wanted)) as ways:
        return asyncio.run(_new_home(wanted, address, ways))


async def _new_home(wanted: NewHome, address: str, ways: Ways) -> Object:
    peers = await commits.ask(ways, wanted.chain_id)
    gate.require_no_twin(wanted, address, peers)
    heard = peers.heights
    highest = max((peer.height for peer in peers.there.values()), default=0)
    if highest < 1:
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
        return gate.told_by(wanted, peers, "no peer has a block", heard)
    _, no_vote = await gate.vote(wanted, address, peers)
    why = "it has no vote" if no_vote else await _never_signed(wanted, address, peers)
    if not why:
        odd = f" ({heard.sentence()})" if heard.odd else ""
        raise RecoveryRefused(
            f"{wanted.host} has no home, and its chain has {heard.top} blocks{odd} that its "
            "validator took part in: with a home made anew it may sign twice",
            hint=f"put a copy of its home there: push-home.yml --limit {wanted.host} "
            "-e xian_recovery_archive=FILE; or let it fetch the state from its peers: "
            f"bootstrap-state-sync.yml -e xian_recovery_host={wanted.host}",
        )
    return gate.told_by(wanted, peers, why, heard)


async def _never_signed(wanted: gate.Host, address: str, peers: Peers) -> str:
    """Say so where the whole chain is there to look through, and short: a deployment cut short."""
    heard = peers.heights
    if heard.top > gate.LOOK_THROUGH:
        return ""
    seen = {host: peer.height for host, peer in peers.there.items() if peer.base <= 1}
    blocks = range(1, heard.top + 1)
    try:
        without = await gate.without_signature(wanted, address, peers, blocks, seen)
    except RecoveryRefused:
        return ""
    if len(heard.tellers.keys() & without) < heights.SEVERAL:
        return ""
    return f"it signed none of the {heard.top} blocks that there are"
