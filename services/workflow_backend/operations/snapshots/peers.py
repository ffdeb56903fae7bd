"""What peers say of the app hash behind a height."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ...chain.rpc import Rpc
from ...errors import NodeRefused, NodeUnavailable, RecoveryRefused
from .blocks import app_hash_behind


@dataclass(frozen=True, slots=True)
class Peer:
    """What a peer says of the app hash behind a height; `problem` is why it says nothing."""

    url: str
    node_id: str | None
    app_hash: str | None
    problem: str = ""


def ask_peers(urls: Sequence[str], chain_id: str, height: int) -> list[Peer]:
    """Ask all peers for the app hash behind a height, side by side."""

    async def ask_all() -> list[Peer]:
        return list(await asyncio.gather(*(_ask_peer(url, chain_id, height) for url in urls)))

    return asyncio.run(ask_all())


async def _ask_peer(url: str, chain_id: str, height: int) -> Peer:
    node_id = None
    try:
        async with Rpc(url.rstrip("/")) as rpc:
            status = await rpc.call("status")
            node_id = status["node_info"]["id"]
            _require_network(url, status["node_info"]["network"], chain_id)
            newest = int(status["sync_info"]["latest_block_height"])
            if newest < height:
                return Peer(url, node_id, None, f"it is at height {newest}")
            return Peer(url, node_id, await app_hash_behind(rpc, height, newest))
    except (NodeUnavailable, NodeRefused) as error:
        return Peer(url, node_id, None, str(error))


def _require_network(url: str, network: str, chain_id: str) -> None:
    if network != chain_id:
        raise RecoveryRefused(
            f"the peer at {url} is on chain {network!r}, not {chain_id!r}",
            hint="give peers of this network",
        )


def require_agreement(height: int, app_hash: str, peers: Sequence[Peer], wanted: int) -> None:
    """Raise RecoveryRefused where a peer has another app hash, or too few of them have any."""
    for peer in peers:
        if peer.app_hash is not None and peer.app_hash != app_hash:
            raise RecoveryRefused(
                f"the peer at {peer.url} has the app hash {peer.app_hash} behind block "
                f"{height}, the snapshot {app_hash}",
                hint="find out which of them is wrong before you go on",
            )
    agreeing = {peer.node_id for peer in peers if peer.app_hash is not None}
    if len(agreeing) < wanted:
        reasons = "; ".join(f"{peer.url}: {peer.problem}" for peer in peers if peer.problem)
        raise RecoveryRefused(
            f"{len(agreeing)} peers with node ids of their own confirm the app hash, "
            f"{wanted} are wanted ({reasons or 'no more were given'})",
            hint="give more peers, or one each that is another node",
        )
