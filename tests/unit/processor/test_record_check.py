"""What an item's record decides: renewed, put back, kept while in doubt, or contended for."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.chain.contract import Action
from workflow_backend.chain.events import Cursor
from workflow_backend.chain.state_answers import Pause
from workflow_backend.contract_versions import VERSIONS
from workflow_backend.errors import NodeUnavailable
from workflow_backend.items import EventPosition, Item, Outcome
from workflow_backend.processor import record_check
from workflow_backend.processor.journal import Journal
from workflow_backend.processor.schema import Hold, PendingItem, Result, State

from .claiming import DEAD, IDS, ME, BusyHandlers, Chain, EndlessHandlers, claiming
from .doubles import item, until


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
