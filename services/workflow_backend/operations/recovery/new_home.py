"""A home that is created from keys alone: only for a validator that has surely never signed."""

import asyncio
from collections.abc import Collection
from typing import override

from ...errors import RecoveryRefused
from ..network.endpoints import Endpoints, open_endpoints
from ..network.heights import MIN_CONFIRMATIONS, ChainHeight
from ..network.peers import Peers, find_peers
from ..requests import Object
from ..tunnel import NO_LOGIN
from .double_sign_guard import (
    GuardedHost,
    describe,
    other_nodes,
    require_key_unused,
    require_own_key,
)
from .validator_commits import MAX_BLOCKS, find_signatures, read_power


class NewHome(GuardedHost):
    """`made` is when the host's home was created before, if it was, by the control machine's note.

    `unnamed` are hosts of the network that the inventory lacks, so that nobody asks them. `peers`
    are those that have a home.
    """

    made: str = ""
    unnamed: tuple[str, ...] = ()

    @property
    @override
    def others(self) -> Collection[str]:
        # A host without a home has nothing to tell: several may be added at once.
        return (self.peers.keys() | set(self.unnamed)) - {self.host}


def new_home(request: NewHome, *, check: bool) -> Object:
    """Decide whether a host without a home may get one from its keys alone.

    That is right for the first deployment and for a node without voting power. Raises
    RecoveryRefused for a validator whose chain already has blocks: its home was lost, and what it
    signed with it.
    """
    del check
    validator = require_own_key(request)
    with open_endpoints(other_nodes(request)) as endpoints:
        return asyncio.run(_new_home(request, validator, endpoints))


async def _new_home(request: NewHome, validator: str, endpoints: Endpoints) -> Object:
    peers = await find_peers(endpoints, request.chain_id)
    require_key_unused(request, validator, peers)
    chain = peers.chain_height
    if all(peer.height < 1 for peer in peers.answering.values()):
        _require_first(request, peers)
        return describe(request, peers, "no peer has a block", chain)
    power = await read_power(validator, peers)
    if power.is_none(request.confirmations):
        return describe(request, peers, power.without(), chain)
    proven = await _never_signed(validator, peers)
    if not proven and request.power == 0 and power.is_none(1):
        return _by_the_operators_word(request, peers, power.without(), chain)
    if not proven:
        outliers = f" ({chain.describe_outliers()})" if chain.outliers else ""
        raise RecoveryRefused(
            f"{request.host} has no home, and its chain has {chain.ceiling} blocks{outliers} that "
            "its validator took part in: with a home created anew it may sign twice",
            hint=f"put a copy of its home there: push-home.yml --limit {request.host} "
            "-e xian_recovery_archive=FILE; or let it fetch the state from its peers: "
            f"bootstrap-state-sync.yml -e xian_recovery_host={request.host}",
        )
    return describe(request, peers, proven, chain)


def _by_the_operators_word(request: NewHome, peers: Peers, says: str, chain: ChainHeight) -> Object:
    """Go on where one peer alone says that a host without votes in the genesis has none now."""
    if not request.sure:
        unheard = [host for host in sorted(request.others) if host not in peers.answering]
        raise RecoveryRefused(
            f"{request.host} has no home, and its chain has {chain.ceiling} blocks: {says}, and "
            f"there are others that could be asked ({', '.join(unheard) or 'they catch up'})",
            hint="bring those hosts up, or name them in the group xian_node; where the validator "
            "has never had a vote, say so: -e xian_recovery_sure=true",
        )
    return describe(request, peers, f"the operator is sure; {says}", chain)


def _require_first(request: NewHome, peers: Peers) -> None:
    """Raise RecoveryRefused where the host may have had a home, and nobody is there to tell."""
    unreached = [reason for reason in peers.silent.values() if reason.startswith(NO_LOGIN)]
    if unreached and not request.sure:
        raise RecoveryRefused(
            f"{request.host} has no home, and nobody can tell whether its validator has signed: "
            f"{'; '.join(unreached)}",
            hint="bring those hosts up; where the network has never run, say so: "
            "-e xian_recovery_sure=true",
        )
    if request.unnamed and not request.sure:
        raise RecoveryRefused(
            f"{request.host} has no home, and this inventory does not name "
            f"{', '.join(request.unnamed)} of its network: nobody can tell whether its validator "
            "has signed",
            hint="name them in the group xian_node; where the network has never run, or this host "
            "has never been part of it, say so: -e xian_recovery_sure=true",
        )
    if request.made and not request.sure:
        raise RecoveryRefused(
            f"{request.host} has no home, and had one since {request.made}: with one created anew "
            "its validator may sign twice, and its chain would begin again",
            hint=f"put a copy of its home there: push-home.yml --limit {request.host} "
            "-e xian_recovery_archive=FILE; to begin again from nothing, say so: "
            "-e xian_recovery_sure=true",
        )


async def _never_signed(validator: str, peers: Peers) -> str:
    """Say so where the whole chain is there to search, and short: a deployment that was cut."""
    chain = peers.chain_height
    if chain.ceiling > MAX_BLOCKS:
        return ""
    newest = {host: peer.height for host, peer in peers.answering.items() if peer.base <= 1}
    blocks = range(1, chain.ceiling + 1)
    signed = await find_signatures(validator, peers, blocks, newest)
    if any(signed.values()):
        return ""
    complete = [host for host in signed if newest.get(host, 0) + 1 >= blocks.stop]
    if len(chain.confirmed_by.keys() & complete) < MIN_CONFIRMATIONS:
        return ""
    return f"it signed none of the {chain.ceiling} blocks that there are"
