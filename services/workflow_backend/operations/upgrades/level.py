"""All nodes at one height: waited for while they run, and proved once they are stopped."""

import asyncio
import time
from collections.abc import Mapping

from pydantic import Field

from ...errors import RecoveryRefused
from .. import answers
from ..asking import Object, Request
from .nodes import Seen, Ways, look

POLL_SECONDS = 0.2


class Rest(Request):
    """What a stopped node holds, and the newest height that its validator signed anything for."""

    height: answers.Height
    app_hash: str = Field(max_length=64)
    signed: answers.Height


async def wait(ways: Ways, chain_id: str, seconds: float, *, blocks: bool) -> Object:
    """Wait until nothing waits for a block and all nodes have the same newest one.

    With `blocks`, where the chain makes some by itself, it has just been made: then there is time
    to stop all before the next. Where no node runs at all there is nothing to wait for.
    """
    deadline = time.monotonic() + seconds
    first: int | None = None
    while True:
        seen = await look(ways, chain_id)
        running = [one for one in seen.values() if not one.problem]
        if not running:
            return {"running": False}
        wrong = _wrong(seen)
        heights = {one.height for one in running}
        if not wrong and (not blocks or (first is not None and min(heights) > first)):
            return {"running": True, "height": heights.pop()}
        first = max(heights) if first is None else first
        if time.monotonic() > deadline:
            reason = wrong or f"no block was made behind height {first}"
            raise RecoveryRefused(
                f"the nodes do not come to rest within {seconds:g} s: {reason}",
                hint="let no client submit meanwhile, bring up what is down (playbooks/start.yml), "
                "then run again",
            )
        await asyncio.sleep(POLL_SECONDS)


def _wrong(seen: Mapping[str, Seen]) -> str:
    silent = [one.host for one in seen.values() if not one.up]
    waiting = {one.host: one.waiting for one in seen.values() if one.waiting}
    heights = {one.host: one.height for one in seen.values()}
    if silent:
        return f"not up: {', '.join(silent)}"
    if waiting:
        return f"transactions wait: {_listed(waiting)}"
    return f"at different heights: {_listed(heights)}" if len(set(heights.values())) > 1 else ""


def require_one(rests: Mapping[str, Rest], height: int | None = None) -> Object:
    """Return the height that all stopped nodes are at; raises RecoveryRefused where there is none.

    Who has signed for the height behind may have helped to make a block that others have not.
    """
    heights = {host: rest.height for host, rest in rests.items()}
    hashes = {host: rest.app_hash for host, rest in rests.items()}
    ahead = {host: rest.signed for host, rest in rests.items() if rest.signed > rest.height}
    reason = ""
    if len(set(heights.values())) > 1:
        reason = f"at different heights: {_listed(heights)}"
    elif height is not None and height not in heights.values():
        reason = f"not at height {height} any more: {_listed(heights)}"
    elif len(set(hashes.values())) > 1:
        reason = f"with different app hashes: {_listed(hashes)}"
    elif ahead:
        reason = f"on their way to the next block, signed: {_listed(ahead)}"
    if reason:
        raise RecoveryRefused(f"the nodes stopped {reason}", hint="start them and try again")
    return {"height": next(iter(heights.values()), 0)}


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{host} {value}" for host, value in values.items())
