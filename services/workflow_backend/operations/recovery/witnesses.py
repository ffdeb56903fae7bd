"""The peers of a network that may vouch for a block: who they are, and what each says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...chain.rpc import Rpc
from ...errors import RecoveryRefused
from .. import answers, heights
from . import commits
from .commits import Peer, Peers


@dataclass
class Asked:
    """The peers of one run: those that can give a state, all that are asked about a block, and why
    the others are left out.
    """

    servers: dict[str, Peer]
    witnesses: dict[str, Peer]
    left_out: dict[str, str] = field(default_factory=dict)

    def require(self, agree: int) -> None:
        """Raise RecoveryRefused where too few are left."""
        if len(self.servers) < agree:
            reasons = "; ".join(f"{host}: {why}" for host, why in self.left_out.items())
            raise RecoveryRefused(
                f"{len(self.servers)} nodes with node ids of their own can vouch for a block, "
                f"{agree} are wanted ({reasons or 'no more were given'})",
                hint="bring more peers up (start.yml); one node can say what it likes",
            )

    def because(self) -> str:
        """Say who is left out and why, as the end of a sentence."""
        return "".join(f"; {host}: {why}" for host, why in self.left_out.items())

    def leave_out(self, host: str, why: str) -> None:
        """Do without a peer."""
        self.servers.pop(host, None)
        self.left_out[host] = why


def tell_apart(peers: Peers, node_ids: Mapping[str, str]) -> tuple[Asked, int]:
    """Return the peers that are who they have to be; raises RecoveryRefused where two are one."""
    said: dict[str, str] = {}
    for host, peer in peers.there.items():
        if twin := said.get(peer.node_id):
            raise RecoveryRefused(
                f"{host} says that it is the same node as {twin}, {peer.node_id}: one node can't "
                "vouch twice",
                hint=f"{_whose(node_ids, peer.node_id)}; find out which of them lies, or give "
                "addresses of different nodes",
            )
        said[peer.node_id] = host
    asked = Asked({}, {}, dict(peers.silent))
    for host, peer in peers.there.items():
        if peer.node_id != (known := node_ids.get(host)):
            asked.left_out[host] = f"its node id is {peer.node_id}, network.json gives it {known}"
            continue
        asked.witnesses[host] = peer
        if peer.catching_up or peer.height < 1:
            asked.left_out[host] = f"it is at height {peer.height} and catching up"
        else:
            asked.servers[host] = peer
    heard = heights.agreed({host: peer.height for host, peer in asked.servers.items()})
    for host, height in heard.odd.items():
        asked.leave_out(host, f"it says height {height}, the others {heard.top} at most")
    return asked, heard.top


def _whose(node_ids: Mapping[str, str], node_id: str) -> str:
    for host, known in node_ids.items():
        if known == node_id:
            return f"network.json gives it to {host}"
    return "network.json gives it to none"


type Said = Mapping[str, tuple[str, str]]


def require_one(said: Said, height: int) -> tuple[str, str]:
    """Return what all say of a block; raises RecoveryRefused naming two that contradict."""
    hosts: Sequence[str] = list(said)
    for other in hosts[1:]:
        if said[other] != said[hosts[0]]:
            each = "; ".join(
                f"{host}: block {block}, app {app}" for host, (block, app) in said.items()
            )
            raise RecoveryRefused(
                f"the peers do not agree on block {height}: {each}",
                hint=f"{hosts[0]} and {other} contradict each other: find out which of them is "
                "wrong before you trust any",
            )
    return said[hosts[0]] if hosts else ("", "")


async def blocks(asked: Asked, height: int) -> tuple[Said, dict[str, str]]:
    """Ask all that have a block for its hash, and the app hash behind it."""

    async def block(rpc: Rpc, peer: Peer) -> tuple[str, str]:
        del peer
        commit = await answers.ask(rpc, answers.Commit, "commit", height=str(height))
        after = await answers.ask(rpc, answers.Header, "header", height=str(height + 1))
        return commit.hash, after.header.app_hash

    having = [
        peer
        for host, peer in asked.witnesses.items()
        if peer.base <= height and (host in asked.servers or peer.height > height)
    ]
    said, silent = await commits.each(having, block)
    return said, {
        host: f"it can't vouch for block {height}: {why}"
        for host, why in silent.items()
        if host in asked.servers
    }
