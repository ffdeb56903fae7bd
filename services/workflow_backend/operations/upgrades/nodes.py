"""All nodes of an inventory, looked at side by side from the control machine."""

import asyncio
import hashlib
import shlex
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from ...chain.rpc import Rpc
from ...errors import RecoveryRefused, WorkflowError
from .. import answers
from ..asking import Request
from ..tunnel import tunnel


class Way(Request):
    """How a node is reached: its RPC as its host sees it, and how to log in there; empty is here.

    By the validator's public key a node is known that does not answer.
    """

    url: str
    ssh: str = ""
    public_key: str = Field("", pattern="^([0-9a-fA-F]{64})?$")

    @property
    def address(self) -> str:
        """The validator's address."""
        key = bytes.fromhex(self.public_key)
        return hashlib.sha256(key).hexdigest()[:40].upper() if key else ""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a node is reached from here, or why not."""

    url: str
    address: str
    problem: str = ""


type Ways = dict[str, Reach]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a node says of itself and of the chain; `problem` is why it says nothing."""

    host: str
    problem: str = ""
    chain_id: str = ""
    height: int = 0
    app_hash: str = ""
    catching_up: bool = True
    address: str = ""
    waiting: int = 0
    powers: Mapping[str, int] | None = None
    signed: frozenset[str] = frozenset()

    @property
    def up(self) -> bool:
        """Whether it takes part: it answers and has caught up."""
        return not self.problem and not self.catching_up

    def as_dict(self) -> dict[str, Any]:
        """Return what a report has of it."""
        if self.problem:
            return {"problem": self.problem}
        return {
            "height": self.height,
            "app_hash": self.app_hash,
            "catching_up": self.catching_up,
            "power": (self.powers or {}).get(self.address, 0),
        }


@contextmanager
def reached(ways: Mapping[str, Way]) -> Iterator[Ways]:
    """Give a URL for each node, through a tunnel where it takes one, or why there is no way."""
    with ExitStack() as opened, ThreadPoolExecutor(max(len(ways), 1)) as pool:

        def reach(way: Way) -> Reach:
            if not way.ssh:
                return Reach(way.url, way.address)
            try:
                url = opened.enter_context(tunnel(shlex.split(way.ssh), way.url))
            except WorkflowError as error:
                return Reach("", way.address, str(error))
            return Reach(url, way.address)

        yield dict(zip(ways, pool.map(reach, ways.values()), strict=True))


async def look(ways: Ways, chain_id: str) -> dict[str, Seen]:
    """Ask all nodes at once."""
    seen = await asyncio.gather(*(_look(host, way, chain_id) for host, way in ways.items()))
    return {one.host: one for one in seen}


async def _look(host: str, way: Reach, chain_id: str) -> Seen:
    if way.problem:
        return Seen(host, problem=way.problem, address=way.address)
    try:
        async with answers.asking(way.url) as rpc:
            return await _ask(host, way, rpc, chain_id)
    except WorkflowError as error:
        return Seen(host, problem=str(error), address=way.address)


async def _ask(host: str, way: Reach, rpc: Rpc, chain_id: str) -> Seen:
    status = await answers.ask(rpc, answers.Status, "status")
    network, address = status.node_info.network, status.validator_info.address
    if network != chain_id:
        raise RecoveryRefused(f"it is on chain {network!r}, not {chain_id!r}")
    if way.address and address != way.address:
        raise RecoveryRefused(
            f"it is validator {address}, network.json gives the host the key of {way.address}"
        )
    waiting, commit, powers = await asyncio.gather(
        answers.ask(rpc, answers.Unconfirmed, "num_unconfirmed_txs"),
        answers.ask(rpc, answers.Commit, "commit"),
        answers.powers(rpc),
    )
    return Seen(
        host,
        chain_id=network,
        height=status.sync_info.latest_block_height,
        app_hash=status.sync_info.latest_app_hash,
        catching_up=status.sync_info.catching_up,
        address=address,
        waiting=waiting.n_txs,
        powers=powers,
        signed=commit.signers(),
    )
