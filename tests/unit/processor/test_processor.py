"""Claiming: workers without rights, items that wait, workers that are gone, unexpected errors."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_backend.chain.contract import Action
from workflow_backend.chain.events import Cursor
from workflow_backend.chain.pending import PendingAction
from workflow_backend.chain.state_answers import Pause
from workflow_backend.contract_versions import VERSIONS
from workflow_backend.errors import NodeUnavailable
from workflow_backend.items import EventPosition, Item, Outcome
from workflow_backend.processor import record_check
from workflow_backend.processor.handlers.job import Answer, Job
from workflow_backend.processor.handlers.kinds import Kind, RetryPolicy
from workflow_backend.processor.journal import Journal
from workflow_backend.processor.processor import Processor
from workflow_backend.processor.schema import Hold, PendingItem, Result, State
from workflow_backend.watchdog import LoopWatchdog

from .doubles import LEASE, item, until

ME, DEAD = "a" * 64, "b" * 64
SHORT_LEASE = 1
FORBIDDEN = "only workers may do this"


class Chain:
    """Items that are free, and a contract that gives each claim the answer `code`."""

    address = ME

    def __init__(self, code: str) -> None:
        self.code = code
        self.claims: list[str] = []
        self.height = 1

    async def status(self) -> Any:
        return SimpleNamespace(height=self.height)

    async def version(self) -> None:
        """The contract has no rules beyond those of the first version."""

    async def items(self, ids: Sequence[str]) -> list[Item]:
        return [item(item_id, status="submitted", worker=None) for item_id in ids]

    def enqueue(self, action: Action) -> PendingAction:
        pending_action = PendingAction(action)
        got = None
        if action.name == "claim":
            self.claims.append(action.item_id)
            got = item(action.item_id, worker=ME) if self.code == "ok" else None
        message = "" if self.code == "ok" else FORBIDDEN
        pending_action.settle(Outcome(action.item_id, self.code, message, 1, got, "AB", 1))
        return pending_action

    async def submit(self, action: Action) -> Outcome:
        return await self.enqueue(action).outcome()


class BusyHandlers:
    """Handlers of a service that asks to be left alone for an hour."""

    connected, problem = True, ""

    def __init__(self) -> None:
        self.kinds = {"job": Kind(1, 60.0, RetryPolicy(9, 1.0, 1.0))}
        self.asked: list[str] = []

    async def run(self, job: Job, patience: float) -> Answer:
        assert patience
        self.asked.append(job.item["item_id"])
        return Answer("retry", "busy", 3600.0)


@dataclass
class Claiming:
    """A processor that claims what its journal has."""

    journal: Journal
    chain: Any
    handlers: Any
    tasks: asyncio.TaskGroup
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    beside: Sequence[Journal] = ()

    def __post_init__(self) -> None:
        self.processor = Processor(
            self.chain,
            SimpleNamespace(time=0.0),  # type: ignore[arg-type]
            self.chain,
            self.journal,
            self.handlers,
            tasks=self.tasks,
            wake=self.wake,
            scope="chain-1/con_job_workflow",
            lease_seconds=LEASE,
            beside=self.beside,
        )


@contextlib.asynccontextmanager
async def claiming(path: Path, chain: Any, handlers: Any, *ids: str) -> AsyncIterator[Claiming]:
    """Claim pending items while the block runs."""
    journal = Journal(path / "p.sqlite3", "chain-1", "con_job_workflow")
    journal.schedule([PendingItem(item_id, "job", 0.0) for item_id in ids])
    try:
        async with asyncio.TaskGroup() as tasks:
            claiming = Claiming(journal, chain, handlers, tasks)
            loop = tasks.create_task(claiming.processor.claim(LoopWatchdog("claiming")))
            yield claiming
            loop.cancel()
            await asyncio.wait([loop])
            await claiming.processor.drain(0.0)
    finally:
        journal.close()


class HeldItem:
    """One item that a dead worker holds, and the contract's rule for who takes it over.

    `now` is the chain's time; `contested` says whether somebody contended long ago.
    """

    address = ME

    def __init__(self, now: Callable[[], float], *, contested: bool) -> None:
        self._now = now
        self.contentions = 0
        self.taken = asyncio.Event()
        self.item = replace(
            item(worker=DEAD),
            created_at=self._text(-100),
            updated_at=self._text(-50),
            lease_seconds=SHORT_LEASE,
            contested_at=self._text(-40) if contested else None,
        )

    def _text(self, later: float = 0.0) -> str:
        return str(datetime.fromtimestamp(self._now() + later, UTC).replace(tzinfo=None))

    async def version(self) -> None:
        """The contract has no rules beyond those of the first version."""

    async def items(self, ids: Sequence[str]) -> list[Item]:
        return [self.item for _ in ids]

    def enqueue(self, action: Action) -> PendingAction:
        pending_action = PendingAction(action)
        assert action.name == "claim"
        self.contentions += 1
        code = "leased"
        if self.item.contested_at is None:
            self.item = replace(self.item, contested_at=self._text())
        elif self.item.contested_at <= self._text(-SHORT_LEASE):
            code = "ok"
            self.item = replace(self.item, worker=ME, attempt=2, contested_at=None)
            self.taken.set()
        got = self.item if code == "ok" else None
        pending_action.settle(Outcome("a", code, code, self.item.attempt, got, "AB", 1))
        return pending_action

    async def submit(self, action: Action) -> Outcome:
        return await self.enqueue(action).outcome()


class EndlessHandlers:
    """Handlers that never end."""

    connected, problem = True, ""

    def __init__(self, concurrency: int = 1) -> None:
        self.kinds = {"job": Kind(concurrency, 60.0, RetryPolicy(1, 1.0, 1.0))}

    async def run(self, *_: Any, **__: Any) -> None:
        await asyncio.Event().wait()


IDS = [f"i{number:02}" for number in range(20)]


async def test_worker_without_rights_claims_once_a_lease_and_says_why(tmp_path: Path) -> None:
    chain = Chain("forbidden")
    async with claiming(tmp_path, chain, BusyHandlers(), *IDS) as worker:
        await until(lambda: worker.processor.status()["problem"] == FORBIDDEN)
        for _ in range(50):  # many turns of the loop, each of which could claim
            worker.wake.set()
            await asyncio.sleep(0.01)
        assert len(chain.claims) == 1


async def test_worker_that_is_added_again_claims_when_the_lease_has_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, handlers = Chain("forbidden"), BusyHandlers()
    async with claiming(tmp_path, chain, handlers, *IDS) as worker:
        await until(lambda: worker.processor.status()["problem"] == FORBIDDEN)
        chain.code = "ok"
        monkeypatch.setattr(worker.processor._claims, "_forbidden_until", 0.0)
        worker.wake.set()
        await until(lambda: len(handlers.asked) == len(IDS))
        assert worker.processor.status()["problem"] == ""


async def test_items_that_wait_long_do_not_keep_their_kind_from_being_claimed(
    tmp_path: Path,
) -> None:
    handlers = BusyHandlers()
    async with claiming(tmp_path, Chain("ok"), handlers, *IDS):
        await until(lambda: len(handlers.asked) == len(IDS))
    assert set(handlers.asked) == set(IDS)


async def test_processor_claims_no_more_of_a_kind_than_run_at_once(tmp_path: Path) -> None:
    chain = Chain("ok")
    async with claiming(tmp_path, chain, EndlessHandlers(concurrency=3), *IDS) as worker:
        await until(lambda: len(chain.claims) == 3)
        for _ in range(20):
            worker.wake.set()
            await asyncio.sleep(0.01)
        assert len(chain.claims) == 3
        assert worker.journal.busy() == {"job": 3}


async def test_error_of_the_journal_ends_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(items: list[PendingItem]) -> None:
        if items:  # by the task of a claim, which puts back what it did not get
            raise OSError("disk full")

    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="disk full")):
        async with claiming(tmp_path, Chain("state"), BusyHandlers(), *IDS) as worker:
            monkeypatch.setattr(worker.journal, "schedule", fail)
            await asyncio.Event().wait()


@pytest.mark.parametrize("minutes", [-10, 0, 10])
@pytest.mark.parametrize("contested", [False, True])
async def test_takeover_does_not_ask_the_local_clock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, minutes: int, contested: bool
) -> None:
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + 60.0 * minutes)
    chain = HeldItem(true, contested=contested)
    async with asyncio.timeout(20), claiming(tmp_path, chain, EndlessHandlers(), "a"):
        await chain.taken.wait()
    # Once where the clock runs already; else it is started, asked about, and waited for.
    assert chain.contentions <= (2 if contested else 5)


class HeldByMe(Chain):
    """Items that this worker holds, on a node that is away for the first look at them."""

    def __init__(self) -> None:
        super().__init__("ok")
        self.is_away = True
        self.renewed: set[str] = set()

    async def items(self, ids: Sequence[str]) -> list[Item]:
        if self.is_away:
            self.is_away = False
            raise NodeUnavailable
        return [item(item_id, worker=ME) for item_id in ids]

    async def submit(self, action: Action) -> Outcome:
        if action.name == "renew":
            self.renewed.add(action.item_id)
        return await super().submit(action)


@pytest.mark.parametrize("is_connected", [False, True])
async def test_recovered_items_are_renewed_though_the_node_was_away_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_connected: bool
) -> None:
    """They wait neither for a place of their kind nor for its handlers."""
    monkeypatch.setattr(record_check, "RETRY_SECONDS", 0.0)
    journal = Journal(tmp_path / "p.sqlite3", "chain-1", "con_job_workflow")
    journal.schedule([PendingItem(item_id, "job", 0.0) for item_id in IDS])
    journal.set_states([(item_id, State.WAITING) for item_id in IDS])
    journal.close()
    chain, handlers = HeldByMe(), EndlessHandlers(concurrency=1)
    handlers.connected = is_connected
    async with claiming(tmp_path, chain, handlers):
        await until(lambda: chain.renewed == set(IDS))


class RestoredChain(Chain):
    """Item a comes after item b, whose completion was told of and is undone."""

    async def items(self, ids: Sequence[str]) -> list[Item]:
        after = {"a": ("b",)}
        return [replace(item(i, status="submitted"), after=after.get(i, ())) for i in ids]


async def test_item_that_waits_again_on_a_restored_chain_is_claimed_once(tmp_path: Path) -> None:
    chain = RestoredChain("waiting")
    async with claiming(tmp_path, chain, EndlessHandlers()) as claims:
        claims.journal.add_prerequisites([("a", "b")])
        claims.journal.apply_page(Cursor(), [], ["b"], ["b"])
        claims.journal.schedule([PendingItem("a", "job", 0.0)])
        claims.wake.set()
        await until(lambda: claims.processor.status()["held_back"] == {"waiting": 1})
        assert chain.claims == ["a"]


class UncommittedBlock(Chain):
    """A block that the index has, while the state is still the one before it."""

    def __init__(self, before: Item | None) -> None:
        super().__init__("ok")
        self.before = before
        self.height, self.reads = 7, 0

    async def items(self, ids: Sequence[str]) -> list[Any]:
        await asyncio.sleep(0)
        self.reads += 1
        if self.height <= 7:
            return [self.before and replace(self.before, item_id=item_id) for item_id in ids]
        return await super().items(ids)


@pytest.mark.parametrize(
    "before", [None, item(status="failed", worker="")], ids=["submitted", "retried"]
)
async def test_item_that_the_index_has_before_the_state_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: Item | None
) -> None:
    monkeypatch.setattr(record_check, "UNCOMMITTED_SECONDS", 0.0)
    chain = UncommittedBlock(before)
    async with claiming(tmp_path, chain, EndlessHandlers(concurrency=20)) as claims:
        opened = [PendingItem(item_id, "job", 0.0) for item_id in IDS]  # they are read first
        claims.journal.apply_page(Cursor(EventPosition(7, 0, 0)), opened, [])
        claims.wake.set()
        await until(lambda: chain.reads > 2)
        assert chain.claims == []
        chain.height = 8
        await until(lambda: set(chain.claims) == set(IDS))


async def test_result_is_kept_while_the_node_is_behind(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "p.sqlite3", "chain-1", "con_job_workflow")
    journal.apply_page(Cursor(EventPosition(7, 0, 0)), [PendingItem("a", "job", 0.0)], [])
    result = Result(completed=True, text="uri")
    journal.record_results([("a", 1, result)])
    journal.close()
    chain = UncommittedBlock(None)
    chain.height = 3
    async with claiming(tmp_path, chain, EndlessHandlers()) as claims:
        await until(lambda: chain.reads > 1)
        await until(lambda: claims.journal.next_due(["job"]) is not None)
        assert claims.journal.recorded_result("a", 1) == result


class StoppedItem(Chain):
    """An item of a dead worker that is to be stopped, of a kind that is paused."""

    def __init__(self) -> None:
        super().__init__("leased")
        self.record = replace(
            item(worker=DEAD), lease_seconds=0, stop_requested_at="2026-01-01 00:00:01"
        )

    async def version(self) -> Any:
        return VERSIONS[-1]

    async def pauses(self) -> dict[str, Pause]:
        return {"*": Pause("o", "", 0, "")}

    async def items(self, ids: Sequence[str]) -> list[Item]:
        return [self.record for _ in ids]


async def test_stopped_item_is_contended_for_until_it_ends_though_its_kind_is_paused(
    tmp_path: Path,
) -> None:
    chain = StoppedItem()
    async with claiming(tmp_path, chain, BusyHandlers()) as claims:
        claims.journal.schedule([PendingItem("a", "job", 0.0, hold=Hold.STOPPING)])
        claims.wake.set()
        await until(lambda: len(chain.claims) == 2)
        chain.record = replace(chain.record, status="cancelled")
        await until(lambda: claims.journal.next_due(["job"]) is None)


async def test_items_of_another_contract_take_places_of_a_kind(tmp_path: Path) -> None:
    chain, handlers = Chain("ok"), BusyHandlers()
    with (
        contextlib.closing(Journal(tmp_path / "new", "chain-1", "con_new")) as journal,
        contextlib.closing(Journal(tmp_path / "old", "chain-1", "con_old")) as old,
    ):
        old.schedule([PendingItem("held", "job", 0.0)])
        assert old.claim_due(time.monotonic(), {"job": 1}, 1)
        journal.schedule([PendingItem("next", "job", 0.0)])
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            claiming = Claiming(journal, chain, handlers, tasks, beside=[old])
            assert claiming.processor._room()["job"] == 0
            old.settle(["held"])
            assert claiming.processor._room()["job"] == 1
