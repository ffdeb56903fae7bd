"""Stopping: what ends within the time for draining, and what must not begin any more."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from workflow_backend.chain.contract import Action
from workflow_backend.errors import SettingError
from workflow_backend.items import Item, Outcome
from workflow_backend.processor import service
from workflow_backend.processor.handlers.job import Answer, Job
from workflow_backend.processor.journal import Journal
from workflow_backend.processor.schema import PendingItem
from workflow_backend.settings import Settings
from workflow_backend.watchdog import LoopWatchdog

from .claiming import ME, BusyHandlers, Chain, Claiming
from .doubles import item, until


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


def journals(folder: Path, contract: str, *earlier: str) -> dict[str, str]:
    """Open the journals of a worker; return the names of their files by contract."""
    settings = Settings.load(
        {
            "XIAN_CHAIN_ID": "chain-1",
            "XIAN_WORKFLOW_CONTRACT": contract,
            "XIAN_WORKFLOW_EARLIER_CONTRACTS": ",".join(earlier),
            "XIAN_WORKFLOW_STATE_DIR": str(folder),
        }
    )
    paths = service.journal_paths(settings)
    with ExitStack() as opened:
        for name, path in paths.items():
            opened.enter_context(closing(Journal(path, "chain-1", name)))
    return {name: path.name for name, path in paths.items()}


FIRST, OWN = "processor.sqlite3", "processor-con_new.sqlite3"


def test_journal_stays_with_its_contract_when_another_one_follows(tmp_path: Path) -> None:
    assert journals(tmp_path, "con_old") == {"con_old": FIRST}
    assert journals(tmp_path, "con_new", "con_old") == {"con_new": OWN, "con_old": FIRST}
    assert journals(tmp_path, "con_new") == {"con_new": OWN}, "the old one is not served any more"
    assert journals(tmp_path, "con_old") == {"con_old": FIRST}, "and on the way back"


def test_journal_of_a_new_worker_is_that_of_the_current_contract(tmp_path: Path) -> None:
    old = "processor-con_old.sqlite3"
    assert journals(tmp_path, "con_new", "con_old") == {"con_new": FIRST, "con_old": old}


def test_journal_of_another_contract_is_refused(tmp_path: Path) -> None:
    journals(tmp_path, "con_old")
    with pytest.raises(SettingError, match="is the journal of con_old on chain-1, not con_new"):
        journals(tmp_path, "con_new")
