"""The projector as a service: what goes wrong is said once, waited for, and said to be over."""

import asyncio
import logging
import re

from ..chain.heads import Heads
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..errors import (
    IndexUnavailable,
    NodeRefused,
    NodeUnavailable,
    ProjectionMoved,
    ProjectionUnavailable,
    WorkflowError,
)
from ..heartbeat import Heartbeat
from ..settings import Settings
from ..store import open_for_writing
from .projector import Projector

log = logging.getLogger(__name__)

TROUBLE_SECONDS = 1.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Project until `stop` is set; raises WorkflowError where it can't begin."""
    async with Rpc(settings.node_url) as rpc:
        node = Node(rpc, settings.contract)
        await node.require_chain(settings.chain_id)
        heads = Heads(rpc)
        report = _Report(Heartbeat(settings.state_dir, "projector"))
        async with open_for_writing(settings) as store, heads.following(), report.beating():
            log.info("projecting %s on %s", settings.contract, settings.chain_id)
            projecting = asyncio.create_task(
                _project(Projector(node, store, heads, report.well), report)
            )
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({projecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not projecting.done():
                projecting.cancel()
            stopping.cancel()
            await asyncio.wait({projecting, stopping})
            if not projecting.cancelled():
                await projecting
    log.info("projector stopped")


async def _project(projector: Projector, report: _Report) -> None:
    while True:
        try:
            await projector.run()
        except* ProjectionMoved as group:
            log.info("%s", _first(group))  # nothing is wrong: the next run begins where it is now
        except* (
            IndexUnavailable,
            NodeRefused,
            NodeUnavailable,
            ProjectionUnavailable,
        ) as group:
            report.trouble(_first(group))
            await asyncio.sleep(TROUBLE_SECONDS)


class _Report:
    """Tells the heartbeat how things are, and the log when that changes."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat
        self._told: set[str] = set()
        self.beating = heartbeat.beating

    def well(self, height: int) -> None:
        """A page is in the store."""
        if self._told:
            log.info("going on at height %s", height)
            self._told.clear()
        self._heartbeat.status = {"height": height, "problem": ""}

    def trouble(self, error: WorkflowError) -> None:
        """Nothing goes on; each kind of trouble is logged once until it is over."""
        kind = re.sub(r"\d+", "", str(error))  # the heights in it change all the time
        if kind not in self._told:
            log.warning("%s", error.explain())
            self._told.add(kind)
        self._heartbeat.status = {**self._heartbeat.status, "problem": error.explain()}


def _first(group: BaseExceptionGroup[WorkflowError]) -> WorkflowError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
