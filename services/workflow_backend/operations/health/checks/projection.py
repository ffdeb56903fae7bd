"""Projection: it keeps up with the index."""

from ....chain.node import LAG_LIMIT
from ....store import open_store
from ..context import Context, see
from ..result import RESTART, Check, State


async def run(context: Context) -> list[Check]:
    """Compare the projection with the index, once index and projector were looked at."""
    if "projector" not in context.desired.services:
        return []
    indexed = await context.indexed_height.get()
    if indexed is None:
        return [see("projection", "index")]
    heights = await context.projector_heights.get()
    async with open_store(context.settings) as store:
        progress = await store.progress()
    return [evaluate(progress.height, indexed, *(heights or (None, None)))]


def evaluate(height: int, indexed: int, beat_before: int | None, beat_after: int | None) -> Check:
    """Return how level the projection is: its height, the index's, and two of the projector's."""
    lag = max(0, indexed - height)
    what = f"height {height}, {lag} blocks behind the index"
    if lag <= LAG_LIMIT:
        return Check("projection", State.OK, what)
    if beat_before != beat_after:
        return Check("projection", State.WARNING, f"catching up: {what}", "wait until it is level")
    return Check("projection", State.FAILED, f"it makes no progress: {what}", RESTART)
