"""Nodes that answer, and what each says of a validator: its vote, and the blocks it has signed."""

import asyncio
import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from xian_py import Wallet
from xian_py.transaction import create_tx, prepare_transaction

from ...chain.rpc import Rpc
from ...errors import WorkflowError
from .. import answers, heights
from ..upgrades.nodes import Reach, Ways

CHI = 10_000


@dataclass(frozen=True, slots=True)
class Peer:
    """A node that answers: who it is, and which blocks it has."""

    host: str
    url: str
    node_id: str
    address: str
    base: int
    height: int
    catching_up: bool


@dataclass(frozen=True, slots=True)
class Peers:
    """The nodes that answer, and why the others do not, by host."""

    there: Mapping[str, Peer]
    silent: Mapping[str, str]

    @property
    def heights(self) -> heights.Heights:
        """How high the chain is, by those that have caught up with it."""
        up = {host: peer.height for host, peer in self.there.items() if not peer.catching_up}
        return heights.agreed(up)


async def ask(ways: Ways, chain_id: str) -> Peers:
    """Ask all nodes at once who they are; one of another chain is as good as none."""
    found = await asyncio.gather(*(_ask(host, way, chain_id) for host, way in ways.items()))
    there = {one.host: one for one in found if isinstance(one, Peer)}
    silent = {host: one for host, one in zip(ways, found, strict=True) if not isinstance(one, Peer)}
    return Peers(there, silent)


async def _ask(host: str, way: Reach, chain_id: str) -> Peer | str:
    if way.problem:
        return way.problem
    try:
        async with answers.asking(way.url) as rpc:
            status = await answers.ask(rpc, answers.Status, "status")
    except WorkflowError as error:
        return str(error)
    node, sync = status.node_info, status.sync_info
    if node.network != chain_id:
        return f"it is on chain {node.network!r}, not {chain_id!r}"
    return Peer(
        host=host,
        url=way.url,
        node_id=node.id,
        address=status.validator_info.address,
        base=sync.earliest_block_height,
        height=sync.latest_block_height,
        catching_up=sync.catching_up,
    )


async def each[T](
    peers: Iterable[Peer],
    question: Callable[[Rpc, Peer], Awaitable[T]],
    seconds: float = answers.SECONDS,
) -> tuple[dict[str, T], dict[str, str]]:
    """Ask peers at once; return what they say, and why the others say nothing, by host."""

    async def one(peer: Peer) -> T | _Silence:
        try:
            async with answers.asking(peer.url, seconds) as rpc:
                return await question(rpc, peer)
        except WorkflowError as error:
            return _Silence(str(error))

    asked = list(peers)
    said = dict(
        zip((peer.host for peer in asked), await asyncio.gather(*map(one, asked)), strict=True)
    )
    silent = {host: what.why for host, what in said.items() if isinstance(what, _Silence)}
    return {host: what for host, what in said.items() if not isinstance(what, _Silence)}, silent


@dataclass(frozen=True, slots=True)
class _Silence:
    why: str


async def newest(peers: Iterable[Peer]) -> tuple[dict[str, int], dict[str, str]]:
    """Ask peers at once for their newest height, as `each` does; who takes long is left behind."""

    async def height(rpc: Rpc, peer: Peer) -> int:
        del peer
        return (await answers.ask(rpc, answers.Status, "status")).sync_info.latest_block_height

    return await each(peers, height, answers.POLL_SECONDS)


async def nudge(peer: Peer, chain_id: str) -> str:
    """Send a transaction that does nothing, so that a block is made; return why it is refused.

    It is signed by a key that is thrown away: it moves nothing, and needs no right. Where
    transactions are paid for, nodes refuse it.
    """
    wallet = Wallet()
    transaction = create_tx(
        {
            "chain_id": chain_id,
            "contract": "currency",
            "function": "transfer",
            "kwargs": {"amount": 1, "to": secrets.token_hex(32)},
            "nonce": 0,
            "chi_supplied": CHI,
            "sender": wallet.public_key,
        },
        wallet,
    )
    encoded = b64encode(prepare_transaction(transaction).submitted_bytes).decode()
    try:
        async with answers.asking(peer.url) as rpc:
            answer = await rpc.write("broadcast_tx_sync", tx=encoded)
    except WorkflowError as error:
        return str(error)
    return "" if answer.get("code") == 0 else str(answer.get("log"))[:300]
