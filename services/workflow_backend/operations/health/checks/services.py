"""Services: each one beats, and reports no problem of its own."""

import asyncio
import time
from pathlib import Path
from typing import Any

from .... import heartbeat
from .. import context as limits
from ..context import Context, or_failure
from ..result import BOOTSTRAP, RESTART, SEE_LOG, Check, Problem, State, duration

type Beat = dict[str, Any] | None


async def run(context: Context) -> list[Check]:
    """Check every service of this host at the same time."""
    services = context.desired.services.items()
    try:
        return list(
            await asyncio.gather(
                *(or_failure(name, _check(context, name, path)) for name, path in services)
            )
        )
    finally:
        context.projector_heights.learn(None)


async def _check(context: Context, service: str, state_dir: Path) -> Check:
    before, after = await _watch(heartbeat.path(state_dir, service))
    if service == "projector":
        heights = ((before or {}).get("height"), (after or {}).get("height"))
        context.projector_heights.learn(heights)
    process = _process_state(after["pid"]) if after else None
    return evaluate(service, before, after, process, time.time())


async def _watch(path: Path) -> tuple[Beat, Beat]:
    """Read a heartbeat until it moves, its process is gone, or its time is over."""
    before = after = heartbeat.read(path)
    deadline = time.monotonic() + limits.BEAT_SECONDS
    while after == before and time.monotonic() < deadline:
        if after and _process_state(after["pid"]) is None:
            break
        await asyncio.sleep(limits.POLL_SECONDS)
        after = heartbeat.read(path)
    return before, after


def _process_state(pid: int) -> str | None:
    """Return the letter that the kernel gives a process's state; None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state = stat.rpartition(")")[2].split()[0]
    return None if state == "Z" else state


def evaluate(service: str, before: Beat, after: Beat, process: str | None, now: float) -> Check:
    """Return how a service is, by two heartbeats and its process's state in /proc."""
    if after is None:
        return Check(service, State.FAILED, "it does not run: it has no heartbeat", SEE_LOG)
    pid, age = after["pid"], duration(now - after["at"])
    if process is None:
        return Check(service, State.FAILED, f"it does not run: process {pid} is gone", SEE_LOG)
    if before is not None and after["at"] == before["at"]:
        if process in "Tt":
            return Check(
                service,
                State.FAILED,
                f"process {pid} is stopped by a signal, its last heartbeat is {age} old",
                f"let it go on: kill -CONT {pid}",
            )
        return Check(
            service,
            State.FAILED,
            f"process {pid} hangs, its last heartbeat is {age} old",
            RESTART,
        )
    return Check.worst(service, _problems(after), _summary(after))


def _problems(beat: dict[str, Any]) -> list[Problem]:
    """Return everything that a running service reports about itself, the worst first."""
    found: list[Problem] = []
    if beat.get("problem"):
        found.append(Problem(State.FAILED, beat["problem"], "see its log"))
    if beat.get("warning"):
        found.append(Problem(State.WARNING, beat["warning"], BOOTSTRAP))
    if unhandled := beat.get("unhandled"):
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(unhandled.items()))
        found.append(
            Problem(
                State.WARNING,
                f"items wait whose kind has no handler here: {kinds}",
                "give the kind a table in the handlers' file, or run a processor that has one",
            )
        )
    held_back = beat.get("held_back")
    if isinstance(held_back, dict) and (blocked := held_back.get("blocked")):
        found.append(
            Problem(
                State.WARNING,
                f"items wait for others that have ended without being completed: {blocked}",
                "retry what failed, or cancel what waits for it",
            )
        )
    return found


def _summary(beat: dict[str, Any]) -> str:
    summary = f"process {beat['pid']} is alive"
    if isinstance(compared := beat.get("compared"), dict) and compared:
        summary += (
            f", {compared.get('compared')} items compared with the chain in round "
            f"{compared.get('rounds', 0) + 1}, {compared.get('repaired', 0)} repaired"
        )
    return summary
