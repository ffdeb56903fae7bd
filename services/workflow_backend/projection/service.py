"""The projector as a service: what goes wrong is said once, waited for, and said to be over."""

import asyncio
import logging
import re

from ..background import background
from ..chain.heads import Heads
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..errors import (
    HistoryDiverged,
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
from ..store.base import Change
from .projector import Projector
from .scrub import Scrub

log = logging.getLogger(__name__)

TROUBLE_SECONDS = 1.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Project until `stop` is set; raises WorkflowError where it can't begin."""
    async with Rpc(settings.node_url) as rpc:
        node = Node(rpc, settings.contract)
        await node.require_chain(settings.chain_id)
        heads = Heads(rpc)
        heartbeat = Heartbeat(settings.state_dir, "projector")
        async with open_for_writing(settings) as store, heads.following(), heartbeat.beating():
            log.info("projecting %s on %s", settings.contract, settings.chain_id)
            report = Report(heartbeat)
            projector = Projector(node, store, heads, report.well, heartbeat.watch)
            scrub = Scrub(node, store, report.scrubbed)
            projecting = asyncio.create_task(project(projector, report))
            stopping = asyncio.create_task(stop.wait())
            async with background(scrub.run(), "scrub"):
                await asyncio.wait({projecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not projecting.done():
                projecting.cancel()
            stopping.cancel()
            await asyncio.wait({projecting, stopping})
            if not projecting.cancelled():
                await projecting
    log.info("projector stopped")


async def project(projector: Projector, report: Report, *, until_level: bool = False) -> None:
    """Project until level with the index or for ever, and wait while something is in the way."""
    while True:
        try:
            await projector.run(until_level=until_level)
        except* ProjectionMoved as group:
            report.moved(_first(group))
        except* (
            HistoryDiverged,
            IndexUnavailable,
            NodeRefused,
            NodeUnavailable,
            ProjectionUnavailable,
        ) as group:
            report.trouble(_first(group))
            await asyncio.sleep(TROUBLE_SECONDS)
        else:
            return


class Report:
    """Tells a heartbeat how things are, and the log when that changes."""

    def __init__(self, heartbeat: Heartbeat | None = None) -> None:
        self._heartbeat = heartbeat
        self._told: set[str] = set()
        self._moved = False
        self._height = 0
        self._problem = ""
        self._scrub: dict[str, int | str] = {}

    def well(self, change: Change) -> None:
        """Tell that a change is in the store."""
        if self._told:
            log.info("going on at height %s", change.height)
            self._told.clear()
        self._height = change.height
        self._say("")

    def moved(self, error: WorkflowError) -> None:
        """Tell once that another process writes, too: nothing is wrong, a run begins there anew."""
        log.log(logging.DEBUG if self._moved else logging.INFO, "%s", error)
        self._moved = True

    def trouble(self, error: WorkflowError) -> None:
        """Tell why nothing goes on; the log has each kind of trouble once until it is over."""
        kind = re.sub(r"\d+", "", str(error))  # the heights in it change all the time
        if not error.is_told and kind not in self._told:
            log.warning("%s", error.explain())
            self._told.add(kind)
        self._say(error.explain())

    def scrubbed(self, progress: dict[str, int | str]) -> None:
        """Tell how far the comparison with the chain is, and what only a rebuild puts right."""
        self._scrub = progress
        self._say(self._problem)

    def _say(self, problem: str) -> None:
        self._problem = problem
        if not problem and self._scrub.get("unmended"):
            problem = (
                f"item {self._scrub['unmended']} differs from the chain (make the projection "
                "anew: workflow-backend projection rebuild)"
            )
        if self._heartbeat is not None:
            status = {"height": self._height, "problem": problem, "compared": self._scrub}
            self._heartbeat.status = status


def _first(group: BaseExceptionGroup[WorkflowError]) -> WorkflowError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
