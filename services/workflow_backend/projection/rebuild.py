"""Rebuilding: a new projection from the chain beside the one in use, which it then replaces."""

import logging
import time
from typing import Any

from ..chain.block_subscription import BlockSubscription
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..settings import Settings
from ..store import open_as_is
from ..store.base import Change
from .projector import Projector
from .service import StatusReport, project

log = logging.getLogger(__name__)

LOG_SECONDS = 10.0
"""Seconds between two log lines about the progress."""


async def rebuild(settings: Settings) -> dict[str, Any]:
    """Rebuild the projection, whether or not the projector runs; return what it contains.

    Raises WorkflowError, in which case the old projection stays.
    """
    started = logged = time.monotonic()
    async with Rpc(settings.node_url) as rpc, open_as_is(settings) as store:
        node = Node(rpc, settings.contract)
        await node.require_chain(settings.chain_id)
        report = StatusReport()
        async with store.rebuilding() as fresh:

            def applied(change: Change) -> None:
                nonlocal logged
                report.applied(change)
                if time.monotonic() - logged > LOG_SECONDS:
                    logged = time.monotonic()
                    log.info("the new projection is at height %s", change.height)

            await project(
                Projector(node, fresh, BlockSubscription(rpc), applied),
                report,
                until_caught_up=True,
            )
        counts = await store.counts()
        progress = await store.progress()
    return {
        "items": sum(counts.values()),
        "height": progress.height,
        "last_event_id": progress.last_event_id,
        "seconds": round(time.monotonic() - started, 1),
    }
