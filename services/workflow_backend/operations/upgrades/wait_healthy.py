"""Waits until nodes are healthy again, and the chain goes on with them."""

import asyncio
import time
from collections.abc import Sequence

from ...errors import RecoveryRefused
from ..network.endpoints import Endpoints
from ..network.heights import MIN_CONFIRMATIONS, agree_on_height
from ..network.node_status import NodeStatus, Statuses, read_statuses
from ..requests import Object

POLL_SECONDS = 0.5


async def wait_healthy(
    endpoints: Endpoints, chain_id: str, hosts: Sequence[str], seconds: float, *, blocks: bool
) -> Object:
    """Wait until the nodes of these hosts are healthy; raises RecoveryRefused with what is wrong.

    A healthy node answers, has caught up with all others and has their app hash. With `blocks`,
    where the chain makes some by itself, a new one was made too, signed by the node if it is a
    validator. What only one other node says is left out, where there are enough of them.
    """
    deadline = time.monotonic() + seconds
    agreeing: set[str] = set()
    goals: dict[str, int] = {}
    while True:
        statuses = await read_statuses(endpoints, chain_id)
        for host in hosts:
            if (height := _chain_height(statuses, host)) is not None:
                goals.setdefault(host, height)
        agreeing |= {host for host in hosts if _agrees(statuses, host)}
        problems = [
            problem
            for host in hosts
            if (problem := _problem(statuses, host, goals.get(host, 0), agreeing, blocks))
        ]
        if not problems:
            return {
                "seconds": round(seconds - (deadline - time.monotonic()), 1),
                "nodes": {host: status.as_dict() for host, status in statuses.items()},
            }
        if time.monotonic() > deadline:
            raise RecoveryRefused(f"after {seconds:g} s {'; '.join(problems)}", hint="")
        await asyncio.sleep(POLL_SECONDS)


def _chain_height(statuses: Statuses, host: str) -> int | None:
    """Return the chain's height by the other nodes, by the host's own only where it is alone."""
    up = {name: status.height for name, status in statuses.items() if status.is_up}
    others = {name: height for name, height in up.items() if name != host}
    return agree_on_height(others or up).height if up else None


def _problem(
    statuses: Statuses, host: str, goal: int, agreeing: set[str], blocks: bool
) -> str | None:
    status = statuses[host]
    if status.problem:
        return f"{host}: {status.problem}"
    if status.catching_up or status.height < goal:
        return f"{host} is at height {status.height} and has to catch up with {goal}"
    if host not in agreeing:
        return f"{host} was at no height together with another node"
    others = [
        other for other in statuses.values() if other.host != host and other.powers is not None
    ]
    chain = agree_on_height({other.host: other.height for other in (status, *others)})
    # Of two nodes each is alone above the other, and one that lags must not hide a new block.
    newest = chain.height if len(others) > 1 else chain.ceiling
    if blocks and newest <= goal:
        return f"no block was made after height {goal}"
    if blocks and status.validator in (status.powers or {}) and not _signs(status, others, goal):
        return f"{host} signs no block"
    return None


def _signs(status: NodeStatus, others: Sequence[NodeStatus], goal: int) -> bool:
    """Whether others show a new block that it signed; its own word counts where it is alone."""
    views = [other for other in others if other.height > goal] or [status] * (not others)
    shown = sum(
        status.validator in view.signers
        or (view.height > goal + 1 and status.validator in view.earlier_signers)
        for view in views
    )
    return shown > 0 and shown >= min(MIN_CONFIRMATIONS, len(views))


def _agrees(statuses: Statuses, host: str) -> bool:
    """Whether other nodes have its app hash at its height, or there is no other node.

    Raises RecoveryRefused where those with another app hash are not fewer, the node itself counted
    in. A single one that differs is waited for while there are others.
    """
    status = statuses[host]
    others = [other for other in statuses.values() if other.host != host and not other.problem]
    level = [other for other in others if other.height == status.height]
    if status.problem:
        return False
    differing = [other for other in level if other.app_hash != status.app_hash]
    equal = len(level) - len(differing)
    if len(differing) > equal and (
        len(differing) >= MIN_CONFIRMATIONS or len(differing) == len(others)
    ):
        other = differing[0]
        raise RecoveryRefused(
            f"at height {status.height} {host} has the app hash {status.app_hash} and "
            f"{other.host} {other.app_hash}",
            hint="restore the one that is wrong from a snapshot: docs/snapshots.md",
        )
    return equal > 0 and equal >= len(differing) if others else True
