"""Whether nodes are well again, and the chain goes on with them."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from ...errors import RecoveryRefused
from .. import heights
from ..asking import Object
from .nodes import Seen, Ways, look

POLL_SECONDS = 0.5


async def wait(
    ways: Ways, chain_id: str, hosts: Sequence[str], seconds: float, *, blocks: bool
) -> Object:
    """Wait until the nodes of these hosts are well; raises RecoveryRefused with what is wrong.

    Well is: it answers, has caught up with all others, holds what they hold, and with `blocks`,
    where the chain makes some by itself, a new one was made, signed by it if it is a validator.
    Another node that says what no other does is left out, where there are enough of them.
    """
    deadline = time.monotonic() + seconds
    agreed: set[str] = set()
    goals: dict[str, int] = {}
    while True:
        seen = await look(ways, chain_id)
        for host in hosts:
            if (height := _height(seen, host)) is not None:
                goals.setdefault(host, height)
        agreed |= {host for host in hosts if _agrees(seen, host)}
        wrong = [
            reason
            for host in hosts
            if (reason := _wrong(seen, host, goals.get(host, 0), agreed, blocks))
        ]
        if not wrong:
            return {
                "seconds": round(seconds - (deadline - time.monotonic()), 1),
                "nodes": {host: one.as_dict() for host, one in seen.items()},
            }
        if time.monotonic() > deadline:
            raise RecoveryRefused(f"after {seconds:g} s {'; '.join(wrong)}", hint="")
        await asyncio.sleep(POLL_SECONDS)


def _height(seen: Mapping[str, Seen], host: str) -> int | None:
    """How high the chain is, as the others tell it; by its own word where there are none."""
    up = {name: one.height for name, one in seen.items() if one.up}
    others = {name: height for name, height in up.items() if name != host}
    return heights.agreed(others or up).top if up else None


def _wrong(
    seen: Mapping[str, Seen], host: str, goal: int, agreed: set[str], blocks: bool
) -> str | None:
    one = seen[host]
    if one.problem:
        return f"{host}: {one.problem}"
    if one.catching_up or one.height < goal:
        return f"{host} is at height {one.height} and has to catch up with {goal}"
    if host not in agreed:
        return f"{host} was at no height together with another node"
    others = [other for other in seen.values() if other.host != host and other.powers is not None]
    newest = heights.agreed({other.host: other.height for other in (one, *others)}).top
    if blocks and newest <= goal:
        return f"no block was made behind height {goal}"
    # What others have of it counts, its own word only where there is nobody else.
    if blocks and one.address in (one.powers or {}):
        views = [other for other in others if other.height > goal] or [one] * (not others)
        shown = sum(one.address in view.signed for view in views)
        if shown < min(heights.SEVERAL, len(views)) or not shown:
            return f"{host} signs no block"
    return None


def _agrees(seen: Mapping[str, Seen], host: str) -> bool:
    """Tell whether other nodes have the same at the same height, or there is no other.

    Raises RecoveryRefused where those that have something else are not fewer, itself counted in; a
    single one is waited for while there are others.
    """
    one = seen[host]
    others = [other for other in seen.values() if other.host != host and not other.problem]
    same = [other for other in others if other.height == one.height]
    if one.problem:
        return False
    unlike = [other for other in same if other.app_hash != one.app_hash]
    alike = len(same) - len(unlike)
    if len(unlike) > alike and (len(unlike) >= heights.SEVERAL or len(unlike) == len(others)):
        other = unlike[0]
        raise RecoveryRefused(
            f"at height {one.height} {host} has the app hash {one.app_hash} and "
            f"{other.host} {other.app_hash}",
            hint="restore the one that is wrong from a snapshot: docs/snapshots.md",
        )
    return alike > 0 and alike >= len(unlike) if others else True
