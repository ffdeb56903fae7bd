"""Waits until all running nodes are at one height, with nothing to do, so that they can be stopped.

No node has to be believed. One that never comes to the others' height, or claims what they do not,
is named and left out, provided that the others have the power to make blocks without it.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ...errors import RecoveryRefused
from ..network.endpoints import Endpoints
from ..network.heights import agree_on_height
from ..network.node_status import NodeStatus, Statuses, read_statuses
from ..network.quorum import is_quorum, majority_view
from ..requests import Object

POLL_SECONDS = 0.2

ALL_SHARE = 0.5
"""The share of the time in which all nodes are waited for, and none is left out."""


@dataclass(frozen=True, slots=True)
class CommonHeight:
    """The height of the nodes that hold the same, and by host why others are left out.

    `powers` gives each host's voting power, and `total` that of all validators.
    """

    height: int
    left_out: dict[str, str]
    powers: dict[str, int]
    total: int


async def quiesce(endpoints: Endpoints, chain_id: str, seconds: float, *, blocks: bool) -> Object:
    """Wait until no transaction waits for a block and all nodes have the same newest block.

    With `blocks`, where the chain makes some by itself, that block was just made: then there is
    time to stop all before the next. Where no node runs there is nothing to wait for. Raises
    RecoveryRefused with what is in the way.
    """
    began = time.monotonic()
    first: int | None = None
    while True:
        statuses = await read_statuses(endpoints, chain_id)
        running = [status for status in statuses.values() if not status.problem]
        if not running:
            return {"running": False}
        waited = time.monotonic() - began
        common = _common_height(statuses, may_leave_out=waited > seconds * ALL_SHARE)
        if common is not None and (not blocks or (first is not None and common.height > first)):
            return {"running": True, **asdict(common)}
        if first is None:
            first = agree_on_height({one.host: one.height for one in running}).height
        if waited > seconds:
            reason = _obstacle(statuses) or f"no block was made after height {first}"
            raise RecoveryRefused(
                f"the nodes do not come to one height within {seconds:g} s: {reason}",
                hint="let no client submit meanwhile, bring up what is down (playbooks/start.yml), "
                "then run again; a host whose node is wrong is left out by taking it out of the "
                "inventory for this run",
            )
        await asyncio.sleep(POLL_SECONDS)


def _common_height(statuses: Statuses, *, may_leave_out: bool) -> CommonHeight | None:
    """Return the height that all nodes are at, or most of the power where that is enough.

    Whoever leaves a node out must not start it with the next release: one that is down or catches
    up may have stopped at an older block, and might compute the blocks after it otherwise.
    """
    ready = [
        status for status in statuses.values() if status.is_up and not status.waiting_transactions
    ]
    if not ready:
        return None
    try:
        powers = majority_view(list(statuses.values()))[0].powers or {}
    except RecoveryRefused:
        if may_leave_out:
            raise
        return None
    groups: defaultdict[tuple[int, str], list[NodeStatus]] = defaultdict(list)
    for status in ready:
        groups[status.height, status.app_hash].append(status)
    by_host = {host: powers.get(status.validator, 0) for host, status in statuses.items()}
    total = sum(powers.values())
    (height, app_hash), group = max(
        groups.items(), key=lambda item: sum(by_host[status.host] for status in item[1])
    )
    if len(group) < len(statuses):
        power = sum(by_host[status.host] for status in group)
        if not may_leave_out or not is_quorum(power, total):
            return None
    left_out = {
        host: _difference(status, height, app_hash)
        for host, status in statuses.items()
        if status not in group
    }
    return CommonHeight(height, left_out, by_host, total)


def _difference(status: NodeStatus, height: int, app_hash: str) -> str:
    if status.problem:
        return f"it does not take part: {status.problem}"
    if status.catching_up:
        return f"it says that it catches up, at height {status.height}"
    if status.height != height:
        return f"it says height {status.height}, the others {height}"
    if status.app_hash != app_hash:
        return f"it says app hash {status.app_hash}, the others {app_hash}"
    return f"it says that {status.waiting_transactions} transactions wait, the others have none"


def _obstacle(statuses: Statuses) -> str:
    """Say what keeps the nodes from one height; empty where they are there."""
    down = [status.host for status in statuses.values() if not status.is_up]
    waiting = {
        status.host: status.waiting_transactions
        for status in statuses.values()
        if status.waiting_transactions
    }
    heights = {status.host: status.height for status in statuses.values()}
    hashes = {status.host: status.app_hash for status in statuses.values()}
    if down:
        return f"not up: {', '.join(down)}"
    if waiting:
        return f"transactions wait: {listed(waiting)}"
    if len(set(heights.values())) > 1:
        return f"at different heights: {listed(heights)}"
    return f"with different app hashes: {listed(hashes)}" if len(set(hashes.values())) > 1 else ""


def listed(values: Mapping[str, object]) -> str:
    """List values by host, as a part of a sentence."""
    return ", ".join(f"{host} {value}" for host, value in values.items())
