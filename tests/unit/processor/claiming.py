"""A processor that claims what its journal has, on a chain that a test makes up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from workflow_backend.chain.contract import Action
from workflow_backend.chain.pending import PendingAction
from workflow_backend.items import Item, Outcome
from workflow_backend.processor.handlers.job import Answer, Job
from workflow_backend.processor.handlers.kinds import Kind, RetryPolicy
from workflow_backend.processor.journal import Journal
from workflow_backend.processor.processor import Processor
from workflow_backend.processor.schema import PendingItem
from workflow_backend.watchdog import LoopWatchdog

from .doubles import LEASE, item

ME, DEAD = "a" * 64, "b" * 64
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


class EndlessHandlers:
    """Handlers that never end."""

    connected, problem = True, ""

    def __init__(self, concurrency: int = 1) -> None:
        self.kinds = {"job": Kind(concurrency, 60.0, RetryPolicy(1, 1.0, 1.0))}

    async def run(self, *_: Any, **__: Any) -> None:
        await asyncio.Event().wait()


IDS = [f"i{number:02}" for number in range(20)]
