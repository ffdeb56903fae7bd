"""Health: every check of this host runs at the same time, and the run ends within seconds.

Each module in `checks` is one check; `checks.CHECKS` lists them in the order of the report. A new
check is a new module there and a line in that list.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ...chain.node import Node
from ...chain.rpc import Rpc
from ...settings import Settings
from ...times import rfc3339
from ..desired_state import DesiredState, read_source
from ..progress_deadline import ProgressDeadline
from . import checks, context
from .context import Context
from .result import Check, State, all_healthy, table

__all__ = [
    "Check",
    "Report",
    "State",
    "all_healthy",
    "as_json",
    "check_health",
    "table",
    "wait_for_health",
]


class Report(NamedTuple):
    """All results in a fixed order; `catching_up` has the heights of what is catching up."""

    checks: list[Check]
    catching_up: Mapping[str, int] = {}


async def wait_for_health(
    settings: Settings,
    seconds: float,
    check: Callable[[Settings], Awaitable[Report]] | None = None,
) -> list[Check]:
    """Check again and again until all is well or the time is over; return the last results.

    The time starts again with each block that a node or an index takes in while it is catching up.
    Nobody knows beforehand how long that takes, and it ends once no more blocks come.
    """
    check = check or check_health
    deadline = ProgressDeadline(seconds)
    while True:
        report = await check(settings)
        for name, height in report.catching_up.items():
            deadline.record(name, height)
        if all_healthy(report.checks) or deadline.has_passed:
            return report.checks
        await asyncio.sleep(context.POLL_SECONDS)


async def check_health(settings: Settings) -> Report:
    """Run every check; raises SettingError where a setting is wrong."""
    desired = DesiredState.load(settings.environment)
    source = read_source(desired.contract_source) if desired.contract_source else None
    async with Rpc(settings.node_url) as rpc:
        shared = Context(settings, desired, Node(rpc, settings.contract), source)
        found = await checks.run_all(shared)
        heights = {
            "node": await shared.catching_up.get(),
            "index": await shared.index_catching_up.get(),
        }
        catching_up = {name: height for name, height in heights.items() if height is not None}
        return Report(found, catching_up)


def as_json(settings: Settings, results: Sequence[Check]) -> dict[str, Any]:
    """Return the results as plain data, for other programs."""
    return {
        "ok": all_healthy(results),
        "checked_at": rfc3339(datetime.now(UTC)),
        "chain_id": settings.chain_id,
        "contract": settings.contract,
        "checks": [check.as_dict() for check in results],
    }
