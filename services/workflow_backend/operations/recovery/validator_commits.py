"""What peers know of one validator: its voting power, and which blocks it has signed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ...chain.cometbft import CometBft
from ...errors import RecoveryRefused
from ..network.peers import Peer, Peers, ask_each

MAX_BLOCKS = 2_000
"""The most blocks that are searched for a signature."""


@dataclass(frozen=True, slots=True)
class ClaimedPower:
    """The greatest voting power that any peer names, and the peers whose word on it counts.

    Those have caught up: what a node knows of an earlier height may have changed since.
    """

    greatest: int
    reported_by: Collection[str]

    def is_none(self, confirmations: int) -> bool:
        """Whether so many peers say that it has none, and no peer says otherwise."""
        return self.greatest == 0 and len(self.reported_by) >= confirmations

    def without(self) -> str:
        """Say that it has none, and where that is one peer's word alone."""
        alone = (
            f", as {' '.join(self.reported_by)} alone says" if len(self.reported_by) == 1 else ""
        )
        return f"it has no voting power{alone}"


async def read_power(validator: str, peers: Peers) -> ClaimedPower:
    """Ask all peers for the validator's voting power."""

    async def power(node: CometBft, _: Peer) -> int:
        return (await node.validator_powers()).get(validator, 0)

    answers, _ = await ask_each(peers.answering.values(), power)
    confirming = [host for host in answers if host in peers.chain_height.confirmed_by]
    return ClaimedPower(max(answers.values(), default=0), confirming)


async def find_signatures(
    validator: str, peers: Peers, blocks: range, newest: Mapping[str, int]
) -> dict[str, list[int]]:
    """Return the blocks, of those asked for, that have a vote of the validator, by peer.

    `newest` is each peer's newest block. A peer that does not answer is left out.
    """

    async def signed(node: CometBft, peer: Peer) -> list[int]:
        there = range(blocks.start, min(blocks.stop, newest.get(peer.host, peer.height) + 1))
        return await node.heights_voted(validator, there) if there else []

    answers, _ = await ask_each(peers.answering.values(), signed)
    return answers


async def require_unsigned(
    host: str, validator: str, peers: Peers, blocks: range, newest: Mapping[str, int]
) -> list[str]:
    """Return the peers that have all of these blocks, and none with a vote of the validator.

    Raises RecoveryRefused where any peer shows such a vote.
    """
    found = await find_signatures(validator, peers, blocks, newest)
    for peer, signed in found.items():
        if signed:
            raise RecoveryRefused(
                f"the validator of {host} signed block {signed[-1]}, made after its node was "
                f"stopped, as {peer} shows: another node has its key (address {validator})",
                hint="find that node and end it for ever, then run this again; until then the node "
                f"of {host} has to stay stopped. Where it is {peer} that lies, take {peer} out of "
                "the inventory for this run",
            )
    return [peer for peer in found if newest.get(peer, 0) + 1 >= blocks.stop]
