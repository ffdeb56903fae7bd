"""Claiming: workers without rights, items that wait, workers that are gone, unexpected errors."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workflow_backend.chain.contract import Action
from workflow_backend.chain.pending import PendingAction
from workflow_backend.items import Item, Outcome
from workflow_backend.processor.journal import Journal
from workflow_backend.processor.schema import PendingItem

from .claiming import (
    DEAD,
    FORBIDDEN,
    IDS,
    ME,
    BusyHandlers,
    Chain,
    Claiming,
    EndlessHandlers,
    claiming,
)
from .doubles import item, until

SHORT_LEASE = 1


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
