"""The projection made anew from the chain, beside the one in use, which it then replaces."""

import logging
import time
from typing import Any

from ..chain.heads import Heads
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..settings import Settings
from ..store import the_store
from ..store.base import Change
from .projector import Projector
from .service import Report, project

log = logging.getLogger(__name__)

TELL_SECONDS = 10.0


async def rebuild(settings: Settings) -> dict[str, Any]:
    """Make the projection anew; return what is in it. The projector may run or not.

    Raises WorkflowError with the old projection in its place.
    """
    begun = told = time.monotonic()
    async with Rpc(settings.node_url) as rpc, the_store(settings) as store:
        node = Node(rpc, settings.contract)
        await node.require_chain(settings.chain_id)
        report = Report()
        async with store.rebuilding() as fresh:

            def applied(change: Change) -> None:
                nonlocal told
                report.well(change)
                if time.monotonic() - told > TELL_SECONDS:
                    told = time.monotonic()
                    log.info("the new projection is at height %s", change.height)

            await project(Projector(node, fresh, Heads(rpc), applied), report, until_level=True)
        counts = await store.counts()
        position = await store.position()
    return {
        "items": sum(counts.values()),
        "height": position.height,
        "last_event": position.last_event,
        "seconds": round(time.monotonic() - begun, 1),
    }
