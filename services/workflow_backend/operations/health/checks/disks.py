"""Disks: every file system that data lies on has room for bytes and for files."""

import asyncio

from ...disks import ENOUGH_BYTES, LEAST_BYTES, FileSystem, file_systems
from .. import context as limits
from ..context import Context
from ..result import Check, State

LEAST_FILES = 1000


async def run(context: Context) -> list[Check]:
    """Measure each file system once, whatever lies on it."""
    folders = dict(context.desired.disks) | dict(context.desired.services)

    def measure() -> list[Check]:
        return [evaluate(file_system) for file_system in file_systems(folders)]

    try:
        return await asyncio.wait_for(asyncio.to_thread(measure), limits.ANSWER_SECONDS)
    except (OSError, TimeoutError) as error:
        reason = str(error) or f"no answer in {limits.ANSWER_SECONDS:g} s"
        return [Check("disk", State.FAILED, reason, "see that every file system is there")]


def evaluate(found: FileSystem) -> Check:
    """Return whether a file system has room: for bytes, and for files where it limits them."""
    what = f"{found.free / (1 << 30):.1f} GiB free on {found.mount} ({', '.join(found.names)})"
    hint = (
        "free some: a full disk stops the node, and a node that was stopped so may need a restore"
    )
    if found.files is not None and found.files < LEAST_FILES:
        return Check("disk", State.FAILED, f"room for {found.files} files more, {what}", hint)
    if found.free < LEAST_BYTES:
        return Check("disk", State.FAILED, what, hint)
    if found.free < ENOUGH_BYTES:
        return Check("disk", State.WARNING, what, hint)
    return Check("disk", State.OK, what)
