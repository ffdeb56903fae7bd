"""Claiming: what a worker without rights does, what waiting items cost, what a fault ends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.chain.contract import Action
from workflow_backend.chain.tickets import Ticket
from workflow_backend.items import Item, Outcome
from workflow_backend.processor.handlers.job import Answer, Job
from workflow_backend.processor.handlers.kinds import Kind, RetryPolicy
from workflow_backend.processor.journal import Journal, Open
from workflow_backend.processor.processor import Processor
from workflow_backend.pulse import Pulse

ME = "a" * 64
FORBIDDEN = "only workers may do this"


class Chain:
    """Items that are free, and a contract that gives each claim the answer `code`."""

    address = ME

    def __init__(self) -> None:
        self.code = "ok"
        self.claims: list[str] = []

    def item(self, item_id: str, status: str) -> Item:
        me = ME if status == "processing" else None
        when = "2026-01-01 00:00:00"
        return Item(item_id, "r", "job", "p", "", "", status, me, "", "", when, when, 1, 60, None)

    async def items(self, ids: Sequence[str]) -> list[Item]:
        return [self.item(item_id, "submitted") for item_id in ids]

    def enqueue(self, action: Action) -> Ticket:
        ticket = Ticket(action)
        got = None
        if action.name == "claim":
            self.claims.append(action.item_id)
            got = self.item(action.item_id, "processing") if self.code == "ok" else None
        message = "" if self.code == "ok" else FORBIDDEN
        ticket.settle(Outcome(action.item_id, self.code, message, 1, got, "AB", 1))
        return ticket

    async def submit(self, action: Action) -> Outcome:
        return await self.enqueue(action).outcome()


class Busy:
    """A service that asks to be left alone for an hour."""

    connected, problem = True, ""
    on_change: Callable[[], None]

    def __init__(self) -> None:
        self.kinds = {"job": Kind(1, 60.0, RetryPolicy(9, 1.0, 1.0))}
        self.asked: list[str] = []

    async def run(self, job: Job, patience: float) -> Answer:
        assert patience
        self.asked.append(job.item["item_id"])
        return Answer("retry", "busy", 3600.0)


class Claiming:
    """A processor that claims what its journal has."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.chain, self.busy = journal, Chain(), Busy()
        self.processor = Processor(
            self.chain,  # type: ignore[arg-type]
            Any,  # type: ignore[arg-type]
            self.chain,  # type: ignore[arg-type]
            journal,
            self.busy,  # type: ignore[arg-type]
            scope="chain-1/con_job_workflow",
            lease_seconds=60,
        )

    def begin(self, code: str) -> None:
        self.chain.code = code
        self.task = asyncio.create_task(self.processor.claim(Pulse("claiming")))


@pytest.fixture
async def claiming(tmp_path: Path) -> AsyncIterator[Claiming]:
    journal = Journal(tmp_path / "p.sqlite3", "chain-1", "con_job_workflow")
    claiming = Claiming(journal)
    journal.put([Open(f"i{number:02}", "job", 0.0) for number in range(20)])
    yield claiming
    claiming.task.cancel()
    await asyncio.wait([claiming.task])
    await claiming.processor.drain(0.0)
    journal.close()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is awaited sets off no event
            await asyncio.sleep(0.01)


async def test_worker_without_rights_claims_once_a_lease_and_says_why(claiming: Claiming) -> None:
    claiming.begin("forbidden")
    await until(lambda: claiming.processor.status()["problem"] == FORBIDDEN)
    for _ in range(50):  # many turns of the loop, each of which could claim
        claiming.processor._wake.set()
        await asyncio.sleep(0.01)
    assert len(claiming.chain.claims) == 1


async def test_items_that_wait_long_do_not_keep_their_kind_from_being_claimed(
    claiming: Claiming,
) -> None:
    claiming.begin("ok")
    await until(lambda: len(claiming.busy.asked) == 20)
    assert len(set(claiming.busy.asked)) == 20


async def test_journal_that_can_not_be_written_is_a_fault_of_the_processor(
    claiming: Claiming, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(opened: list[Open], *_: object) -> None:
        if opened:  # by the task of a claim, which hands back what it did not get
            raise OSError("disk full")

    monkeypatch.setattr(claiming.journal, "put", fail)
    claiming.begin("state")
    await until(lambda: claiming.processor.fault is not None)
    assert str(claiming.processor.fault) == "disk full"
    monkeypatch.undo()
