"""Finding open items that the events did not tell of.

A cursor that is a place in the chain loses no event of an index that has them all, a new journal
reads from the beginning, and what is open stays in the journal until it is settled, whether there
is a handler for it yet or not. What can be missed is

- what the index does not have: that of a state-synced node begins late, and a rebuilt or restored
  one may have gaps;
- what happened at or before the cursor's place after the chain itself was restored to an older
  height;
- a look that never comes, because this process lost count.

So the sweep walks through the contract's own items in the chain's state, a few at a time and for
ever, and puts right what the journal does not know. It costs the node some hundred small reads
every other second; how long a missed item waits for it at most is in docs/handlers.md.
"""

import asyncio
import logging
import time

from ..chain.node import Node
from ..errors import WorkflowError
from ..items import SETTLED
from ..outage import Outage
from ..pulse import Pulse
from .journal import Journal, Open
from .spread import Spread
from .taken import Taken

log = logging.getLogger(__name__)

STEP_SECONDS = 2.0
REST_SECONDS = 60.0
"""Between one walk through all items and the next."""

STEP_ITEMS = 200


async def sweep(
    node: Node, journal: Journal, taken: Taken, spread: Spread, *, latest: float, pulse: Pulse
) -> None:
    """Sweep for ever; no look may be due later than `latest` seconds from now."""
    outage = Outage("the sweep goes on")
    while True:
        journal.wake(time.monotonic() + latest, taken)
        whole, more = not journal.swept(), True
        while more:
            pulse()
            try:
                more = await _step(node, journal, taken, spread)
            except WorkflowError as error:
                outage.failed(error)
            else:
                outage.well()
            await asyncio.sleep(STEP_SECONDS)
        if whole:  # a walk that began where an earlier process stopped has all before it to do
            pulse.rest()
            await asyncio.sleep(REST_SECONDS)


async def _step(node: Node, journal: Journal, taken: Taken, spread: Spread) -> bool:
    """Look at the next items; return whether there are more behind them."""
    ids, more = await node.item_ids(journal.swept(), STEP_ITEMS)
    known = journal.kinds_of(ids)
    unknown = [item_id for item_id in ids if item_id not in known]
    now = time.monotonic()
    found = [
        Open(item.item_id, item.kind, now + spread.delay(item.item_id, item.kind, now))
        for item in await node.items(unknown)
        if item is not None and item.status not in SETTLED
    ]
    # Events may have told of some while their records were read.
    told = journal.kinds_of(item.item_id for item in found)
    found = [i for i in found if i.item_id not in told and i.item_id not in taken]
    journal.sweep(ids[-1] if more else "", found)
    if found:
        log.info("%d open items were found by the sweep", len(found))
    return more
