"""Stopping: what ends within the time for draining, and what must not begin any more."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from workflow_backend.chain.contract import Action
from workflow_backend.items import Item, Outcome
from workflow_backend.processor import service
from workflow_backend.processor.handlers.job import Answer, Job
from workflow_backend.processor.journal import Journal
from workflow_backend.processor.schema import PendingItem
from workflow_backend.watchdog import LoopWatchdog

from .doubles import item, until
from .test_processor import ME, BusyHandlers, Chain, Claiming


class SlowChain(Chain):
    """A chain that gives no record until an item is released, and then one of this worker's."""

    def __init__(self) -> None:
        super().__init__("ok")
        self.is_asked = False
        self.released: list[str] = []
        self._answers = asyncio.Event()

    async def items(self, ids: Sequence[str]) -> list[Item]:
        self.is_asked = True
        await self._answers.wait()
        return [item(item_id, worker=ME) for item_id in ids]

    async def submit(self, action: Action) -> Outcome:
        if action.name == "release":
            self._answers.set()
            self.released.append(action.item_id)
            for _ in range(20):
                await asyncio.sleep(0)
        return await super().submit(action)


class EndlessHandlers(BusyHandlers):
    """Handlers whose jobs end when they are cancelled."""

    async def run(self, job: Job, patience: float) -> Answer:
        await super().run(job, patience)
        return await asyncio.Future()


async def test_claiming_that_outlives_the_stop_starts_no_job(tmp_path: Path) -> None:
    chain, handlers = SlowChain(), EndlessHandlers()
    with closing(Journal(tmp_path / "p.sqlite3", "chain-1", "con_job_workflow")) as journal:
        handlers.kinds["job"] = replace(handlers.kinds["job"], concurrency=2)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            claiming = Claiming(journal, chain, handlers, tasks)
            loop = tasks.create_task(claiming.processor.claim(LoopWatchdog("claiming")))
            await asyncio.sleep(0)
            journal.schedule(
                [PendingItem("fresh", "job", 0.0, is_fresh=True), PendingItem("other", "job", 0.0)]
            )
            claiming.wake.set()
            await until(lambda: chain.is_asked and handlers.asked)
            await service._stop(claiming.processor, [loop], 0.0)
        assert handlers.asked == ["fresh"]
        assert chain.released == ["fresh"]
        assert [found.item_id for found in journal.recover()] == ["other"], "looked at next time"
