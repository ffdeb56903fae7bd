"""The projector as a service, which waits out what goes wrong and logs its beginning and end."""

import asyncio
import logging
import re

from ..background import background
from ..chain.block_subscription import BlockSubscription
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..errors import (
    HistoryDiverged,
    IndexUnavailable,
    NodeRefused,
    NodeUnavailable,
    ProjectionMoved,
    ProjectionUnavailable,
    ProjectorRunning,
    WorkflowError,
)
from ..file_lock import file_lock
from ..heartbeat import Heartbeat
from ..settings import Settings
from ..store import open_for_writing
from ..store.base import Change
from .projector import Projector
from .scrub import Scrubber

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Project until `stop` is set; raises WorkflowError if it can't begin.

    A second projector with the same state folder would overwrite the heartbeat of the first.
    """
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    busy = ProjectorRunning(f"another projector runs with the state folder {settings.state_dir}")
    with file_lock(settings.state_dir / "projector.lock", busy):
        await _run(settings, stop)
    log.info("projector stopped")


async def _run(settings: Settings, stop: asyncio.Event) -> None:
    async with Rpc(settings.node_url) as rpc:
        node = Node(rpc, settings.contract)
        await node.require_chain(settings.chain_id)
        subscription = BlockSubscription(rpc)
        heartbeat = Heartbeat(settings.state_dir, "projector")
        async with open_for_writing(settings) as store, subscription.running(), heartbeat.beating():
            log.info("projecting %s on %s", settings.contract, settings.chain_id)
            report = StatusReport(heartbeat)
            projector = Projector(node, store, subscription, report.applied, heartbeat.watch)
            scrub = Scrubber(node, store, report.scrub_progress)
            async with (
                background(project(projector, report), "projection"),
                background(scrub.run(), "scrub"),
            ):
                await stop.wait()


async def project(
    projector: Projector, report: StatusReport, *, until_caught_up: bool = False
) -> None:
    """Project for ever, or until caught up with the index; wait while something is unavailable."""
    while True:
        try:
            await projector.run(until_caught_up=until_caught_up)
        except* ProjectionMoved as group:
            report.moved(_first(group))
        except* (
            HistoryDiverged,
            IndexUnavailable,
            NodeRefused,
            NodeUnavailable,
            ProjectionUnavailable,
        ) as group:
            report.failing(_first(group))
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


class StatusReport:
    """Reports the state of the projection to the heartbeat, and its changes to the log."""

    def __init__(self, heartbeat: Heartbeat | None = None) -> None:
        self._heartbeat = heartbeat
        self._logged: set[str] = set()
        self._moved = False
        self._height = 0
        self._problem = ""
        self._scrub_progress: dict[str, int | str] = {}

    def applied(self, change: Change) -> None:
        """Report that a change was applied."""
        if self._logged:
            log.info("projecting again from height %s", change.height)
            self._logged.clear()
        self._height = change.height
        self._publish("")

    def moved(self, error: WorkflowError) -> None:
        """Log once that another process writes too: the next run continues from there."""
        log.log(logging.DEBUG if self._moved else logging.INFO, "%s", error)
        self._moved = True

    def failing(self, error: WorkflowError) -> None:
        """Report what is in the way; each kind of error is logged once until it is over."""
        kind = re.sub(r"\d+", "", str(error))  # the heights in it change all the time
        if not error.is_logged and kind not in self._logged:
            log.warning("%s", error.explain())
            self._logged.add(kind)
        self._publish(error.explain())

    def scrub_progress(self, progress: dict[str, int | str]) -> None:
        """Report the progress of the comparison with the chain."""
        self._scrub_progress = progress
        self._publish(self._problem)

    def _publish(self, problem: str) -> None:
        self._problem = problem
        if not problem and self._scrub_progress.get("unrepairable"):
            problem = (
                f"item {self._scrub_progress['unrepairable']} differs from the chain "
                "(rebuild the projection: workflow-backend projection rebuild)"
            )
        if self._heartbeat is not None:
            status = {"height": self._height, "problem": problem, "compared": self._scrub_progress}
            self._heartbeat.status = status


def _first(group: BaseExceptionGroup[WorkflowError]) -> WorkflowError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
