"""Renews the leases of the items that this worker has claimed, each after a third of it.

A renewal that gets no answer loses nothing yet: it is sent again after another third, and a lease
runs only from when another worker contends for the item.

A lease is lost where the contract refuses to renew it: another worker took the item over, the item
has ended, or this worker lost its rights. Then the item's job is cancelled, and its handler with
it, so that two workers do not do the same work for longer than they must. The journal takes the
item back, and its record on the chain tells what is next: at once, or a lease later where the
contract would refuse this worker again.

Where somebody asked to stop the item, the refusal says so, and the job ends the item itself.

A job that has its result goes on: no handler runs any more, the chain may still take the report,
and its answer to the report tells what became of the item.
"""

import asyncio
import time
from collections.abc import Collection, Sequence

from ..watchdog import LoopWatchdog
from .active_job import ActiveJob
from .reporter import Reporter, is_final, log_refusal

CHECK_SECONDS = 0.4
"""Between two checks of which leases to renew; the shortest lease is 5 s."""


async def renew_leases(
    jobs: Collection[ActiveJob], reporter: Reporter, watchdog: LoopWatchdog
) -> None:
    """Renew the leases of `jobs`, without end; it follows jobs that are added and removed."""
    renewing: set[asyncio.Task[None]] = set()
    while True:
        watchdog.beat()
        await asyncio.sleep(CHECK_SECONDS)
        now = time.monotonic()
        due = [job for job in jobs if now - job.renewed_at > job.item.lease_seconds / 3]
        for job in due:
            job.renewed_at = now
        if due:
            task = asyncio.create_task(_renew(due, reporter))
            renewing.add(task)
            task.add_done_callback(renewing.discard)


async def _renew(jobs: Sequence[ActiveJob], reporter: Reporter) -> None:
    outcomes = await reporter.renew([job.item for job in jobs])
    for job, outcome in zip(jobs, outcomes, strict=True):
        if outcome is None or outcome.ok or job.task is None:
            continue
        if outcome.code == "stopping":  # the event has not been read yet
            job.stop()
        elif job.result is None and not job.is_stopping:  # else another answer tells more
            log_refusal(job.item.item_id, "renew", outcome)
            job.is_refused = is_final(outcome)
            job.task.cancel()
