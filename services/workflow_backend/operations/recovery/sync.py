"""The tunnels that state sync goes through, for as long as the node fetches its state.

A node asks its peers' RPC, and those listen on the peers' loopback alone. So each is brought to the
control machine and from there to the loopback of the node's host. The tunnels are this process's:
they end with it, however it ends.
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

from ...errors import NodeRefused, NodeUnavailable, RecoveryRefused
from .. import answers
from ..asking import Object
from ..snapshots.blocks import app_hash_behind
from ..snapshots.peers import Peer, ask_peers, require_agreement
from ..tunnel import TunnelFailed, reverse, tunnel
from ..upgrades.nodes import Way, reached
from .reported import Reported

POLL_SECONDS = 0.5


class Sync(Reported):
    """A node that is being started, the peers that it asks, and the height that it has to pass.

    Each peer is brought to the port of the node's host that is named for it. It is over, too, once
    the file `hold` is gone: whoever runs this beside other work ends it so.
    """

    chain_id: str
    node: Way
    peers: dict[str, Way]
    ports: dict[str, int]
    height: int = Field(ge=1)
    hold: Path | None = None
    agree: int = Field(default=2, ge=2)
    seconds: float = Field(default=300.0, gt=0)


def sync(wanted: Sync, *, check: bool) -> Object:
    """Hold the tunnels until the node has caught up; answer with heights and app hashes.

    Raises RecoveryRefused where it does not, or where its app hash is not its peers'.
    """
    if check:
        return {"changed": [wanted.node.url]}
    began = time.monotonic()
    with reached(wanted.peers) as ways:
        silent = {host: way.problem for host, way in ways.items() if way.problem}
        if silent:
            raise RecoveryRefused(
                "; ".join(f"{host}: {problem}" for host, problem in silent.items()),
                hint="bring those peers up, then run this again",
            )
        with _bridges(wanted, {host: way.url for host, way in ways.items()}):
            seen = _wait(wanted)
        took = round(time.monotonic() - began, 1)
        urls = [way.url for way in ways.values()]
        own, peers = _compare(wanted, seen["height"], urls)
    return {
        "changed": [wanted.node.url],
        "seconds": took,
        **seen,
        "app_hash": own,
        "peers": [asdict(peer) for peer in peers],
    }


@contextmanager
def _bridges(wanted: Sync, urls: dict[str, str]) -> Iterator[None]:
    if not wanted.node.ssh:
        raise RecoveryRefused(
            "the node's host is this machine: there is nothing to reach over SSH",
            hint="name the host by an address that Ansible reaches by SSH",
        )
    with ExitStack() as opened:
        for host, port in wanted.ports.items():
            opened.enter_context(reverse(shlex.split(wanted.node.ssh), port, urls[host]))
        yield


def _wait(wanted: Sync) -> dict[str, Any]:
    """Wait until the node says that it has caught up."""
    deadline = time.monotonic() + wanted.seconds
    problem = "its RPC does not answer"
    while time.monotonic() < deadline:
        _require_held(wanted)
        try:
            with tunnel(shlex.split(wanted.node.ssh), wanted.node.url) as url:
                return asyncio.run(_caught_up(wanted, url, deadline))
        except (TunnelFailed, NodeUnavailable, NodeRefused) as error:
            problem = str(error)
            time.sleep(POLL_SECONDS)
    raise _too_late(wanted, problem)


async def _caught_up(wanted: Sync, url: str, deadline: float) -> dict[str, Any]:
    while True:
        async with answers.asking(url) as rpc:
            told = (await answers.ask(rpc, answers.Status, "status")).sync_info
        height = told.latest_block_height
        if not told.catching_up and height >= wanted.height:
            return {"height": height, "base": told.earliest_block_height}
        _require_held(wanted)
        if time.monotonic() > deadline:
            raise _too_late(wanted, f"it is at height {height} and catching up")
        await asyncio.sleep(POLL_SECONDS)


def _require_held(wanted: Sync) -> None:
    if wanted.hold is not None and not wanted.hold.exists():
        raise RecoveryRefused("the run that these tunnels were for is over")


def _too_late(wanted: Sync, problem: str) -> RecoveryRefused:
    return RecoveryRefused(
        f"the node has not fetched its state within {wanted.seconds:g} s: {problem}",
        hint="see the logs of abci and cometbft on its host, then run this again",
    )


def _compare(wanted: Sync, height: int, urls: list[str]) -> tuple[str, list[Peer]]:
    """Compare the app hash of the block before the node's newest with what its peers have."""
    with tunnel(shlex.split(wanted.node.ssh), wanted.node.url) as url:
        own = asyncio.run(_own_hash(url, height - 1))
    peers = ask_peers(urls, wanted.chain_id, height - 1)
    require_agreement(height - 1, own, peers, wanted.agree)
    return own, peers


async def _own_hash(url: str, height: int) -> str:
    async with answers.asking(url) as rpc:
        return await app_hash_behind(rpc, height, height + 1)
