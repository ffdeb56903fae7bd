"""Finding open items whose events were missed.

A cursor misses no event of an index that has them all, a new journal reads from the beginning, and
an open item stays in the journal until it is settled. What can be missed is

- what the index does not have: that of a state-synced node begins late, and a rebuilt or restored
  one may have gaps;
- what happened at or before the cursor, after the chain itself was restored to an older height;
- an item whose `due` is wrong because this process made an error.

So the processor scans the contract's items in the chain's state, a few at a time and
without end, and adds to the journal what it does not know. This costs the node some hundred small
reads every other second. How long a missed item waits at most is in docs/processor.md.
"""

import asyncio
import logging
import time

from ..chain.node import Node
from ..errors import WorkflowError
from ..items import FINAL_STATUSES
from ..outage_log import OutageLog
from ..watchdog import LoopWatchdog
from .journal import Journal
from .rendezvous_hash import RendezvousHash
from .schema import Hold, PendingItem

log = logging.getLogger(__name__)

STEP_SECONDS = 2.0
STEP_ITEMS = 200
PAUSE_SECONDS = 60.0
"""Between one scan of all items and the next."""


async def reconcile(
    node: Node,
    journal: Journal,
    ranking: RendezvousHash,
    *,
    longest_wait: float,
    watchdog: LoopWatchdog,
) -> None:
    """Compare the journal with the chain without end.

    No pending item may be due later than in `longest_wait` seconds, but for one between tries.
    """
    outage = OutageLog("the reconciliation with the chain goes on")
    while True:
        journal.hasten(time.monotonic() + longest_wait)
        # A walk that goes on where an earlier process stopped has everything before it left to do.
        is_whole, has_more = not journal.reconciled_to(), True
        while has_more:
            watchdog.beat()
            try:
                has_more = await _step(node, journal, ranking)
            except WorkflowError as error:
                outage.record_failure(error)
            else:
                outage.record_success()
            await asyncio.sleep(STEP_SECONDS)
        if is_whole:
            watchdog.idle()
            await asyncio.sleep(PAUSE_SECONDS)


async def _step(node: Node, journal: Journal, ranking: RendezvousHash) -> bool:
    """Compare the next items; return whether there are more behind them."""
    ids, has_more = await node.item_ids(journal.reconciled_to(), STEP_ITEMS)
    known = journal.kinds_of(ids)
    records = await node.items([item_id for item_id in ids if item_id not in known])
    open_items = [
        item for item in records if item is not None and item.status not in FINAL_STATUSES
    ]
    # Events of some may have come while their records were read.
    known = journal.kinds_of(item.item_id for item in open_items)
    now = time.monotonic()
    found = [
        PendingItem(
            item.item_id,
            item.kind,
            now + ranking.delay(item.item_id, item.kind, now),
            priority=item.priority,
            hold=Hold.of_stop(item),
        )
        for item in open_items
        if item.item_id not in known
    ]
    journal.record_reconciled(ids[-1] if has_more else "", found)
    if found:
        log.info("reconciliation found %d open items whose events were missed", len(found))
    return has_more
