"""The checks of health, one module each.

`run` of a module takes the shared context and returns its results. A check that needs what another
one learns waits for that fact in the context, so the order here is only that of the report.
"""

import asyncio
from collections.abc import Awaitable, Callable

from ..context import Context, failure
from ..result import Check
from . import (
    accounts,
    api,
    blocks,
    contract,
    disks,
    index,
    node,
    projection,
    restore,
    services,
)

CHECKS: dict[str, Callable[[Context], Awaitable[list[Check]]]] = {
    "node": node.run,
    "blocks": blocks.run,
    "index": index.run,
    "contract": contract.run,
    "accounts": accounts.run,
    "services": services.run,
    "api /health": api.run,
    "disk": disks.run,
    "restore": restore.run,
    "projection": projection.run,
}


async def run_all(context: Context) -> list[Check]:
    """Run every check at the same time; return their results in the order of `CHECKS`."""
    found = await asyncio.gather(*(_run(name, run(context)) for name, run in CHECKS.items()))
    return [check for results in found for check in results]


async def _run(name: str, results: Awaitable[list[Check]]) -> list[Check]:
    try:
        return await results
    except Exception as error:
        return [failure(name, error)]
