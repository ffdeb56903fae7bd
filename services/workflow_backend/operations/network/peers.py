"""The peers of a host: which nodes answer, and questions to all of them at once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from ...chain.cometbft import PEER_SECONDS, CometBft
from ...errors import WorkflowError
from .endpoints import Endpoints, NodeEndpoint
from .heights import ChainHeight, agree_on_height

POLL_SECONDS = 10.0
"""How long a peer may take for what it is asked again and again."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A node that answers: its ids, and the blocks that it has."""

    host: str
    url: str
    node_id: str
    validator: str
    base: int
    height: int
    catching_up: bool


@dataclass(frozen=True, slots=True)
class Peers:
    """The nodes that answer, and by host why the others do not."""

    answering: Mapping[str, Peer]
    silent: Mapping[str, str]

    @property
    def chain_height(self) -> ChainHeight:
        """The chain's height, by the peers that have caught up."""
        return agree_on_height(
            {host: peer.height for host, peer in self.answering.items() if not peer.catching_up}
        )


@dataclass(frozen=True, slots=True)
class _Silence:
    reason: str


async def find_peers(endpoints: Endpoints, chain_id: str) -> Peers:
    """Ask all nodes at once who they are; a node of another chain counts as silent."""
    found = await asyncio.gather(
        *(_find(host, endpoint, chain_id) for host, endpoint in endpoints.items())
    )
    answers = dict(zip(endpoints, found, strict=True))
    return Peers(
        {host: one for host, one in answers.items() if isinstance(one, Peer)},
        {host: one.reason for host, one in answers.items() if isinstance(one, _Silence)},
    )


async def _find(host: str, endpoint: NodeEndpoint, chain_id: str) -> Peer | _Silence:
    if endpoint.problem:
        return _Silence(endpoint.problem)
    try:
        async with CometBft.of_peer(endpoint.url) as node:
            status = await node.status()
    except WorkflowError as error:
        return _Silence(str(error))
    if status.chain_id != chain_id:
        return _Silence(f"it is on chain {status.chain_id!r}, not {chain_id!r}")
    return Peer(
        host=host,
        url=endpoint.url,
        node_id=status.node_id,
        validator=status.validator,
        base=status.base,
        height=status.height,
        catching_up=status.catching_up,
    )


async def ask_each[T](
    peers: Iterable[Peer],
    question: Callable[[CometBft, Peer], Awaitable[T]],
    seconds: float = PEER_SECONDS,
) -> tuple[dict[str, T], dict[str, str]]:
    """Ask peers at once; return their answers by host, and why the others give none."""

    async def ask(peer: Peer) -> T | _Silence:
        try:
            async with CometBft.of_peer(peer.url, seconds) as node:
                return await question(node, peer)
        except WorkflowError as error:
            return _Silence(str(error))

    asked = list(peers)
    found = await asyncio.gather(*map(ask, asked))
    answers = dict(zip((peer.host for peer in asked), found, strict=True))
    silent = {host: one.reason for host, one in answers.items() if isinstance(one, _Silence)}
    return {host: one for host, one in answers.items() if not isinstance(one, _Silence)}, silent


async def newest_heights(peers: Iterable[Peer]) -> tuple[dict[str, int], dict[str, str]]:
    """Ask peers for their newest height, as `ask_each` does; a slow one is left out."""

    async def height(node: CometBft, _: Peer) -> int:
        return (await node.status()).height

    return await ask_each(peers, height, POLL_SECONDS)
