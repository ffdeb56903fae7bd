"""What peers say of the app hash behind a height."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import Field

from ...errors import NodeRefused, NodeUnavailable, RecoveryRefused
from .. import answers
from ..asking import Request
from ..upgrades.nodes import Way, reached
from .blocks import app_hash_behind
from .manifest import Digest, Height

POLL_SECONDS = 0.5


class Agree(Request):
    """Nodes by their hosts, asked from the control machine for the app hash behind a height.

    It has to be `app_hash`, or where none is given that of the first who answers. `agree` of them
    have to say so, with node ids of their own, and none may contradict. A node that has not come to
    that height yet is waited for, for so many seconds.
    """

    chain_id: str
    height: Height
    app_hash: Digest | None = None
    nodes: dict[str, Way]
    agree: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)


@dataclass(frozen=True, slots=True)
class Peer:
    """What a peer says of the app hash behind a height; `problem` is why it says nothing.

    One that is `behind` has no such block yet.
    """

    url: str
    node_id: str | None
    app_hash: str | None
    problem: str = ""
    behind: bool = False


def ask_peers(urls: Sequence[str], chain_id: str, height: int) -> list[Peer]:
    """Ask all peers for the app hash behind a height, side by side."""

    async def ask_all() -> list[Peer]:
        return list(await asyncio.gather(*(_ask_peer(url, chain_id, height) for url in urls)))

    return asyncio.run(ask_all())


async def _ask_peer(url: str, chain_id: str, height: int) -> Peer:
    node_id = None
    try:
        async with answers.asking(url.rstrip("/")) as rpc:
            status = await answers.ask(rpc, answers.Status, "status")
            node_id = status.node_info.id
            _require_network(url, status.node_info.network, chain_id)
            newest = status.sync_info.latest_block_height
            if newest < height:
                return Peer(url, node_id, None, f"it is at height {newest}", behind=True)
            return Peer(url, node_id, await app_hash_behind(rpc, height, newest))
    except (NodeUnavailable, NodeRefused) as error:
        return Peer(url, node_id, None, str(error))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return Peer(url, None, None, f"its answer is none of a node ({type(error).__name__})")


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


def agree(wanted: Agree, *, check: bool) -> dict[str, Any]:
    """Compare what the nodes say; return it. Raises RecoveryRefused where they do not agree."""
    del check  # nothing is changed
    with reached(wanted.nodes) as ways:
        there = {host: way for host, way in ways.items() if not way.problem}
        urls = [way.url for way in there.values()]
        deadline = time.monotonic() + wanted.seconds
        said = ask_peers(urls, wanted.chain_id, wanted.height)
        while any(peer.behind for peer in said) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            said = ask_peers(urls, wanted.chain_id, wanted.height)
    peers = [replace(peer, url=host) for host, peer in zip(there, said, strict=True)]
    peers += [Peer(host, None, None, way.problem) for host, way in ways.items() if way.problem]
    told = (peer.app_hash for peer in peers if peer.app_hash is not None)
    app_hash = wanted.app_hash or next(told, "")
    require_agreement(wanted.height, app_hash, peers, wanted.agree)
    return {
        "height": wanted.height,
        "app_hash": app_hash,
        "peers": [asdict(peer) for peer in peers],
    }
