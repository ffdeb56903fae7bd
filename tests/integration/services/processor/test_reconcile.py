"""Items that the events did not tell of."""

import signal

import pytest

from ..stack import eventually
from .harness import Queue, beat, end, fresh, holds, journal_rows

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_reconciliation_finds_an_item_whose_events_were_missed(queue: Queue) -> None:
    worker = queue.workers[0]
    worker.start("handlers", "processor")
    (before, missed) = fresh(2)
    await queue.submit(before)
    await queue.until(before, "completed")
    await end(worker, "handlers", signal.SIGTERM)
    await queue.submit(missed)

    async def forgotten() -> bool:
        """Whether the processor had read of the item, and does not know of it any more."""
        await holds(lambda: beat(worker).get("problem"), "the processor without handlers")
        assert await end(worker, "processor", signal.SIGTERM) == 0
        # As if the index had never told of it.
        gone = journal_rows(
            worker, "DELETE FROM open_items WHERE item_id = ? RETURNING item_id", missed
        )
        if not gone:
            worker.start("processor")
        return bool(gone)

    await eventually(forgotten, "an item that was read of")
    worker.start("handlers", "processor")
    await queue.until(missed, "completed")
    assert "whose events were missed" in worker.log("processor")
