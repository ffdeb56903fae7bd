"""Restore: none was cut short on this host."""

import asyncio
from pathlib import Path

from ....errors import WorkflowError
from ...snapshots.journal import Journal
from ..context import Context
from ..result import Check, State


async def run(context: Context) -> list[Check]:
    """Look for a restore that has not ended; without one there is nothing to report."""
    if context.desired.node_home is None:
        return []
    return await asyncio.to_thread(find_unfinished, context.desired.node_home)


def find_unfinished(home: Path) -> list[Check]:
    """Read the journal beside a node's home."""
    try:
        entry = Journal(home).read()
    except PermissionError:
        return []  # an account that may not read the node's folder can't end a restore either
    except (OSError, WorkflowError) as error:
        return [Check("restore", State.FAILED, str(error))]
    return [evaluate(entry.name, entry.begun_at, entry.phase)] if entry else []


def evaluate(name: str, begun_at: str, phase: str) -> Check:
    """Return the result for a restore that is under way."""
    waits = phase in {"swapping", "undoing"}
    stands = "the node's app does not start" if waits else "the old state waits beside the home"
    return Check(
        "restore",
        State.FAILED,
        f"the restore of {name}, begun at {begun_at}, is {phase} and not finished: {stands}",
        "finish it (restore-state-snapshot.yml), or undo it (-e snapshots_undo=true)",
    )
