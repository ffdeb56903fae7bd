"""The tunnels that state sync needs, open for as long as the node fetches its state.

A node asks its peers' RPC, and those listen on the peers' loopback alone. So each is brought to the
control machine, and from there to the loopback of the node's host. The tunnels belong to this
process and end with it, however it ends.
"""

import asyncio
import shlex
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import Field

from ...chain.cometbft import CometBft
from ...errors import NodeRefused, NodeUnavailable, RecoveryRefused
from ..network.app_hashes import AppHashClaim, app_hash_after, ask_app_hashes, require_app_hash
from ..network.endpoints import Endpoints, NodeAddress, open_endpoints
from ..network.report import Reported
from ..requests import Object
from ..tunnel import TunnelFailed, reverse, tunnel

POLL_SECONDS = 0.5


class SyncTunnels(Reported):
    """A node that is being started, the peers that it asks, and the height that it has to pass.

    `ports` gives for each peer the port of the node's host that leads to it. The tunnels end, too,
    once the file `hold` is gone: whoever runs this beside other work ends it so.
    """

    chain_id: str
    node: NodeAddress
    peers: dict[str, NodeAddress]
    node_ids: dict[str, str]
    ports: dict[str, int]
    height: int = Field(ge=1)
    hold: Path | None = None
    agree: int = Field(default=2, ge=2)
    seconds: float = Field(default=300.0, gt=0)


def hold_tunnels(request: SyncTunnels, *, check: bool) -> Object:
    """Keep SSH tunnels to the peers open until the node has fetched their state and caught up.

    Raises RecoveryRefused where it does not, or where its app hash is not its peers'.
    """
    if check:
        return {"changed": [request.node.url]}
    began = time.monotonic()
    with open_endpoints(request.peers) as endpoints:
        problems = {host: one.problem for host, one in endpoints.items() if one.problem}
        if problems:
            raise RecoveryRefused(
                "; ".join(f"{host}: {problem}" for host, problem in problems.items()),
                hint="bring those peers up, then run this again",
            )
        with _reverse_tunnels(request, endpoints):
            synced = _wait(request)
        took = round(time.monotonic() - began, 1)
        app_hash, claims = _compare(request, synced["height"], endpoints)
    return {
        "changed": [request.node.url],
        "seconds": took,
        **synced,
        "app_hash": app_hash,
        "peers": [asdict(claim) for claim in claims],
    }


@contextmanager
def _reverse_tunnels(request: SyncTunnels, endpoints: Endpoints) -> Iterator[None]:
    if not request.node.ssh:
        raise RecoveryRefused(
            "the node's host is this machine: there is nothing to reach over SSH",
            hint="name the host by an address that Ansible reaches by SSH",
        )
    with ExitStack() as tunnels:
        for host, port in request.ports.items():
            tunnels.enter_context(reverse(shlex.split(request.node.ssh), port, endpoints[host].url))
        yield


def _wait(request: SyncTunnels) -> dict[str, Any]:
    """Wait until the node says that it has caught up."""
    deadline = time.monotonic() + request.seconds
    problem = "its RPC does not answer"
    while time.monotonic() < deadline:
        _require_held(request)
        try:
            with tunnel(shlex.split(request.node.ssh), request.node.url) as url:
                return asyncio.run(_wait_caught_up(request, url, deadline))
        except (TunnelFailed, NodeUnavailable, NodeRefused) as error:
            problem = str(error)
            time.sleep(POLL_SECONDS)
    raise _too_late(request, problem)


async def _wait_caught_up(request: SyncTunnels, url: str, deadline: float) -> dict[str, Any]:
    while True:
        async with CometBft.of_peer(url) as node:
            status = await node.status()
        if not status.catching_up and status.height >= request.height:
            return {"height": status.height, "base": status.base}
        _require_held(request)
        if time.monotonic() > deadline:
            raise _too_late(request, f"it is at height {status.height} and catching up")
        await asyncio.sleep(POLL_SECONDS)


def _require_held(request: SyncTunnels) -> None:
    if request.hold is not None and not request.hold.exists():
        raise RecoveryRefused("the run that these tunnels were for is over")


def _too_late(request: SyncTunnels, problem: str) -> RecoveryRefused:
    return RecoveryRefused(
        f"the node has not fetched its state within {request.seconds:g} s: {problem}",
        hint="see the logs of abci and cometbft on its host, then run this again",
    )


def _compare(
    request: SyncTunnels, height: int, endpoints: Endpoints
) -> tuple[str, list[AppHashClaim]]:
    """Compare the app hash after the block before the node's newest with its peers'."""
    with tunnel(shlex.split(request.node.ssh), request.node.url) as url:
        app_hash = asyncio.run(_own_app_hash(url, height - 1))
    claims = ask_app_hashes(endpoints, request.node_ids, request.chain_id, height - 1)
    require_app_hash(height - 1, app_hash, claims, request.agree)
    return app_hash, claims


async def _own_app_hash(url: str, height: int) -> str:
    async with CometBft.of_peer(url) as node:
        return await app_hash_after(node, height, height + 1)
