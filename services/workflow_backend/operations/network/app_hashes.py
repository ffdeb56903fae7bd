"""What the nodes of a network say of the app hash after a block.

It is in the header of the next block, which the validators signed. For the newest block it is only
in the node's own record of that block's results.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import Field

from ...chain.cometbft import CometBft
from ...chain.cometbft_answers import Digest, Height
from ...errors import NodeRefused, NodeUnavailable, RecoveryRefused
from ..requests import Request
from .endpoints import Endpoints, NodeAddress, NodeEndpoint, open_endpoints

POLL_SECONDS = 0.5

RESULTS_SECONDS = 10.0
RESULTS_POLL_SECONDS = 0.05


class AppHashQuestion(Request):
    """Nodes, by host, that the control machine asks for the app hash after a block.

    It has to be `app_hash`, or where none is given that of the first node that answers. `agree`
    nodes have to confirm it, each with the node id that network.json gives its host, and none may
    contradict. A node that has no such block yet is waited for, for so many seconds.
    """

    chain_id: str
    height: Height
    app_hash: Digest | None = None
    nodes: dict[str, NodeAddress]
    node_ids: dict[str, str]
    agree: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)


@dataclass(frozen=True, slots=True)
class AppHashClaim:
    """What a node says of the app hash after a block; `problem` says why its word does not count.

    A node that is `behind` has no such block yet.
    """

    host: str
    node_id: str | None = None
    app_hash: str | None = None
    problem: str = ""
    behind: bool = False


async def app_hash_after(node: CometBft, height: int, newest: int) -> str:
    """Return the app hash after a block of a chain whose newest block is `newest`."""
    if height < newest:
        app_hash = (await node.header(height + 1)).app_hash
        if not app_hash:
            raise NodeUnavailable(
                f"it has no app hash in the header of block {height + 1}", hint=""
            )
        return app_hash
    # A node has a block's header a little before the app has run the block.
    deadline = time.monotonic() + RESULTS_SECONDS
    while True:
        try:
            return await node.app_hash_of_results(height)
        except NodeRefused:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(RESULTS_POLL_SECONDS)


def ask_app_hashes(
    endpoints: Endpoints, node_ids: Mapping[str, str], chain_id: str, height: int
) -> list[AppHashClaim]:
    """Ask all nodes at once for the app hash after a block."""

    async def ask_all() -> list[AppHashClaim]:
        return await asyncio.gather(
            *(
                _ask(host, endpoint, node_ids.get(host), chain_id, height)
                for host, endpoint in endpoints.items()
            )
        )

    return asyncio.run(ask_all())


async def _ask(
    host: str, endpoint: NodeEndpoint, node_id: str | None, chain_id: str, height: int
) -> AppHashClaim:
    if endpoint.problem:
        return AppHashClaim(host, problem=endpoint.problem)
    try:
        async with CometBft.of_peer(endpoint.url) as node:
            status = await node.status()
            if status.chain_id != chain_id:
                why = f"it is on chain {status.chain_id!r}, not {chain_id!r}"
                return AppHashClaim(host, status.node_id, problem=why)
            if status.node_id != node_id:
                why = f"its node id is {status.node_id}, network.json gives it {node_id}"
                return AppHashClaim(host, status.node_id, problem=why)
            if status.height < height:
                why = f"it is at height {status.height}"
                return AppHashClaim(host, status.node_id, problem=why, behind=True)
            app_hash = await app_hash_after(node, height, status.height)
            return AppHashClaim(host, status.node_id, app_hash)
    except (NodeUnavailable, NodeRefused) as error:
        return AppHashClaim(host, problem=str(error))


def require_app_hash(
    height: int, app_hash: str, claims: Sequence[AppHashClaim], confirmations: int
) -> None:
    """Raise RecoveryRefused where a node contradicts, or too few confirm an app hash."""
    for claim in claims:
        if claim.app_hash is not None and claim.app_hash != app_hash:
            raise RecoveryRefused(
                f"{claim.host} has the app hash {claim.app_hash} after block {height}, "
                f"expected is {app_hash}",
                hint="find out which of them is wrong before you go on",
            )
    confirmed_by = {claim.node_id for claim in claims if claim.app_hash is not None}
    if len(confirmed_by) < confirmations:
        problems = "; ".join(f"{claim.host}: {claim.problem}" for claim in claims if claim.problem)
        raise RecoveryRefused(
            f"{len(confirmed_by)} nodes confirm the app hash after block {height}, it takes "
            f"{confirmations} ({problems or 'the inventory has no more'})",
            hint="bring more nodes up (start.yml), then run this again",
        )


def agree(request: AppHashQuestion, *, check: bool) -> dict[str, Any]:
    """Compare the nodes' app hashes after a block; raises RecoveryRefused if they differ."""
    del check  # it only asks
    with open_endpoints(request.nodes) as endpoints:
        deadline = time.monotonic() + request.seconds
        while True:
            claims = ask_app_hashes(endpoints, request.node_ids, request.chain_id, request.height)
            if time.monotonic() > deadline or not any(claim.behind for claim in claims):
                break
            time.sleep(POLL_SECONDS)
    claimed = (claim.app_hash for claim in claims if claim.app_hash is not None)
    app_hash = request.app_hash or next(claimed, "")
    require_app_hash(request.height, app_hash, claims, request.agree)
    return {
        "height": request.height,
        "app_hash": app_hash,
        "peers": [asdict(claim) for claim in claims],
    }
