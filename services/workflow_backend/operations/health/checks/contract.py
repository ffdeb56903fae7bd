"""Contract: it is on the chain, with the source that this deployment is set up for."""

import time
from collections.abc import Mapping
from dataclasses import replace

from ....chain.state_answers import Pause
from ....contract_versions import may_stand_for, number, version_of
from ..context import Context, see
from ..result import BOOTSTRAP, Check, State


async def run(context: Context) -> list[Check]:
    """Read the contract's source from the chain and compare it."""
    if not context.desired.contract:
        return []
    if await context.chain.get() is None:
        return [see("contract", "node")]
    deployed = await context.ask_node(context.node.source())
    check = evaluate(context.node.contract, deployed, context.contract_source)
    version = None if deployed is None else version_of(deployed)
    if check.state is State.OK and version is not None and "pause" in version.capabilities:
        paused = await context.ask_node(context.node.pauses())
        check = replace(check, what=check.what + _of_pauses(paused))
    return [check]


def evaluate(name: str, deployed: str | None, desired: str | None) -> Check:
    """Return whether the contract is there; `desired` is the source that it must have, if any."""
    if deployed is None:
        return Check("contract", State.FAILED, f"{name} is not on this chain", BOOTSTRAP)
    if desired is not None and not may_stand_for(deployed, desired):
        return Check(
            "contract",
            State.FAILED,
            f"{name} on this chain has another source than is expected",
            "set XIAN_WORKFLOW_CONTRACT to the name that this source was deployed under",
        )
    return Check("contract", State.OK, _describe(name, deployed, desired))


def _describe(name: str, deployed: str, desired: str | None) -> str:
    version, expected = number(deployed), None if desired is None else number(desired)
    if version is None or expected is None or version == expected:
        return f"{name} is deployed" + (" as expected" if desired else "")
    return f"{name} is deployed in version {version}; a new deployment would use version {expected}"


def _of_pauses(pauses: Mapping[str, Pause]) -> str:
    lasting = [kind for kind, each in pauses.items() if not 0 < each.until <= time.time()]
    return f"; claims are paused of: {', '.join(sorted(lasting))}" if lasting else ""
