"""The peers that may vouch for a block: which ones they are, and what each says of the block."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ...chain.cometbft import CometBft
from ...errors import RecoveryRefused
from ..network.heights import agree_on_height
from ..network.peers import Peer, Peers, ask_each


@dataclass
class VouchingPeers:
    """The peers of one run.

    `servers` can give a state. `witnesses` are asked about a block, the servers among them: what
    any of them says may contradict. `left_out` says by host why a peer is no server.
    """

    servers: dict[str, Peer]
    witnesses: dict[str, Peer]
    left_out: dict[str, str] = field(default_factory=dict)

    def require(self, count: int) -> None:
        """Raise RecoveryRefused where too few servers remain."""
        if len(self.servers) < count:
            reasons = "; ".join(f"{host}: {reason}" for host, reason in self.left_out.items())
            raise RecoveryRefused(
                f"{len(self.servers)} nodes with node ids of their own can vouch for a block, "
                f"it takes {count} ({reasons or 'the inventory has no more'})",
                hint="bring more peers up (start.yml); one node can say what it likes",
            )

    def reasons(self) -> str:
        """Say who is left out and why, as the end of a sentence."""
        return "".join(f"; {host}: {reason}" for host, reason in self.left_out.items())

    def leave_out(self, host: str, reason: str) -> None:
        """Do without a server."""
        self.servers.pop(host, None)
        self.left_out[host] = reason


def select_peers(peers: Peers, node_ids: Mapping[str, str]) -> tuple[VouchingPeers, int]:
    """Return the peers with the node ids of network.json, and the greatest height believed.

    Raises RecoveryRefused where two peers claim one node id.
    """
    _require_distinct(peers, node_ids)
    selected = VouchingPeers({}, {}, dict(peers.silent))
    for host, peer in peers.answering.items():
        if peer.node_id != (known := node_ids.get(host)):
            reason = f"its node id is {peer.node_id}, network.json gives it {known}"
            selected.left_out[host] = reason
            continue
        selected.witnesses[host] = peer
        if peer.catching_up or peer.height < 1:
            selected.left_out[host] = f"it is at height {peer.height} and catching up"
        else:
            selected.servers[host] = peer
    chain = agree_on_height({host: peer.height for host, peer in selected.servers.items()})
    for host, height in chain.outliers.items():
        selected.leave_out(host, f"it says height {height}, the others {chain.ceiling} at most")
    return selected, chain.ceiling


def _require_distinct(peers: Peers, node_ids: Mapping[str, str]) -> None:
    owners = {node_id: host for host, node_id in node_ids.items()}
    claimed: dict[str, str] = {}
    for host, peer in peers.answering.items():
        if other := claimed.get(peer.node_id):
            owner = owners.get(peer.node_id, "no host")
            raise RecoveryRefused(
                f"{host} says that it is the same node as {other}, {peer.node_id}: one node can't "
                "vouch twice",
                hint=f"network.json gives it to {owner}; find out which of them lies, or give "
                "addresses of different nodes",
            )
        claimed[peer.node_id] = host


class BlockClaim(NamedTuple):
    """What a peer says of a block: its hash, and the app hash after it."""

    block_hash: str
    app_hash: str


type BlockClaims = Mapping[str, BlockClaim]
"""By host."""


def require_one_claim(claims: BlockClaims, height: int) -> BlockClaim:
    """Return what all say of a block; raises RecoveryRefused naming two that contradict."""
    hosts = list(claims)
    for other in hosts[1:]:
        if claims[other] != claims[hosts[0]]:
            all_claims = "; ".join(
                f"{host}: block {claim.block_hash}, app {claim.app_hash}"
                for host, claim in claims.items()
            )
            raise RecoveryRefused(
                f"the peers do not agree on block {height}: {all_claims}",
                hint=f"{hosts[0]} and {other} contradict each other: find out which of them is "
                "wrong before you trust any",
            )
    return claims[hosts[0]] if hosts else BlockClaim("", "")


async def ask_block(selected: VouchingPeers, height: int) -> tuple[BlockClaims, dict[str, str]]:
    """Ask all that have a block about it; return their claims, and why servers give none."""

    async def ask(node: CometBft, _: Peer) -> BlockClaim:
        commit = await node.commit(height)
        after = await node.header(height + 1)
        return BlockClaim(commit.hash, after.app_hash)

    having = [
        peer
        for host, peer in selected.witnesses.items()
        if peer.base <= height and (host in selected.servers or peer.height > height)
    ]
    claims, silent = await ask_each(having, ask)
    return claims, {
        host: f"it can't vouch for block {height}: {reason}"
        for host, reason in silent.items()
        if host in selected.servers
    }
