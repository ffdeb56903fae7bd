"""What the chain says of a validator: its votes, and the blocks that it has signed."""

import asyncio
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from xian_py import Wallet
from xian_py.transaction import create_tx, prepare_transaction

from ...chain.rpc import Rpc
from ...errors import NodeRefused, RecoveryRefused, WorkflowError
from ..upgrades.nodes import Reach, Ways

ABSENT = 1
"""How a commit marks a validator whose signature did not come; all else is a signature."""

PAGE = 100
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
    def highest(self) -> Peer | None:
        """The one that has seen the most."""
        return max(self.there.values(), key=lambda peer: peer.height, default=None)


async def ask(ways: Ways, chain_id: str) -> Peers:
    """Ask all nodes at once who they are; raises RecoveryRefused for one of another chain."""
    found = await asyncio.gather(*(_ask(host, way, chain_id) for host, way in ways.items()))
    there = {one.host: one for one in found if isinstance(one, Peer)}
    silent = {host: one for host, one in zip(ways, found, strict=True) if not isinstance(one, Peer)}
    return Peers(there, silent)


async def _ask(host: str, way: Reach, chain_id: str) -> Peer | str:
    if way.problem:
        return way.problem
    try:
        async with Rpc(way.url) as rpc:
            status = await rpc.call("status")
    except WorkflowError as error:
        return str(error)
    node, sync = status["node_info"], status["sync_info"]
    if node["network"] != chain_id:
        raise RecoveryRefused(
            f"the node of {host} is on chain {node['network']!r}, not {chain_id!r}",
            hint="give hosts of this network",
        )
    return Peer(
        host=host,
        url=way.url,
        node_id=node["id"],
        address=status["validator_info"]["address"],
        base=int(sync["earliest_block_height"]),
        height=int(sync["latest_block_height"]),
        catching_up=bool(sync["catching_up"]),
    )


async def powers(rpc: Rpc) -> dict[str, int]:
    """Return the power of each validator by its public key, in hexadecimal digits."""
    found: dict[str, int] = {}
    while True:
        page = len(found) // PAGE + 1
        answer = await rpc.call("validators", page=str(page), per_page=str(PAGE))
        found |= {
            b64decode(one["pub_key"]["value"]).hex(): int(one["voting_power"])
            for one in answer["validators"]
        }
        if len(found) >= int(answer["total"]) or not answer["validators"]:
            return found


async def signed(rpc: Rpc, address: str, first: int, last: int) -> list[int]:
    """Return the heights, from first to last, that a validator has signed a vote for."""
    heights = range(first, last + 1)
    answers = await rpc.batch([("commit", {"height": str(height)}) for height in heights])
    return [
        height
        for height, answer in zip(heights, answers, strict=True)
        if any(
            one["validator_address"].upper() == address and one["block_id_flag"] != ABSENT
            for one in answer["signed_header"]["commit"]["signatures"]
        )
    ]


async def nudge(rpc: Rpc, chain_id: str) -> str:
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
        answer = await rpc.write("broadcast_tx_sync", tx=encoded)
    except NodeRefused as error:
        return str(error)
    return str(answer["log"]) if answer["code"] != 0 else ""
