"""A job runner with a journal of its own, on stand-ins for the chain and the handlers."""

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from workflow_backend.chain.contract import Action
from workflow_backend.errors import WorkflowError
from workflow_backend.items import Item, Outcome
from workflow_backend.processor.handlers.job import Answer, Job
from workflow_backend.processor.handlers.kinds import Kind, RetryPolicy
from workflow_backend.processor.job_runner import JobRunner
from workflow_backend.processor.journal import Journal
from workflow_backend.processor.schema import PendingItem, State

from .doubles import until

FORBIDDEN = "only workers may do this"


class Chain:
    """Answers ok to each action, but for those that `refusals` has a code or an error for."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.entries: list[dict[str, Any]] = []
        self.refusals: dict[str, deque[str | WorkflowError]] = {}

    async def submit(self, action: Action) -> Outcome:
        self.sent.append((action.name, action.item_id))
        self.entries.append(action.entry)
        await asyncio.sleep(0)
        waiting = self.refusals.get(action.name)
        code = "ok"
        if waiting:
            refusal = waiting[0] if len(waiting) == 1 else waiting.popleft()
            if isinstance(refusal, WorkflowError):
                raise refusal
            code = refusal
        message = FORBIDDEN if code != "ok" else ""
        return Outcome(action.item_id, code, message, 1, None, "AB", 1)

    def count(self, name: str) -> int:
        return Counter(name for name, _ in self.sent)[name]


class Hands:
    """Handlers that give the answers of `answers` in turn, and then never end."""

    def __init__(self) -> None:
        self.kinds = {"job": Kind(1, 60.0, RetryPolicy(3, 0.001, 0.001))}
        self.answers: deque[Answer] = deque()
        self.jobs: list[Job] = []
        self.is_kind_removed = False

    async def run(self, job: Job, patience: float) -> Answer:
        assert patience >= 0
        self.jobs.append(job)
        if self.is_kind_removed:
            self.kinds.clear()
        if self.answers:
            return self.answers.popleft()
        return await asyncio.Future()


class Worker:
    """A job runner with a journal of its own, and what it sees of chain and handlers."""

    def __init__(self, path: Path, tasks: asyncio.TaskGroup) -> None:
        self.chain, self.hands = Chain(), Hands()
        self.journal = Journal(path / "p.sqlite3", "chain-1", "con_job_workflow")
        self.runner = JobRunner(
            self.chain,  # type: ignore[arg-type]
            self.hands,  # type: ignore[arg-type]
            self.journal,
            tasks=tasks,
            wake=asyncio.Event(),
            scope="chain-1/con_job_workflow",
        )

    def start(self, claimed: Item, *, is_recovered: bool = False) -> None:
        self.journal.schedule([PendingItem(claimed.item_id, claimed.kind, 0.0)])
        self.journal.set_states([(claimed.item_id, State.CLAIMING)])
        self.runner.start(claimed, is_recovered=is_recovered)

    async def until_idle(self) -> None:
        await until(lambda: not len(self.runner))

    def due_in(self) -> float | None:
        due = self.journal.next_due(["job"])
        return None if due is None else due - time.monotonic()


@contextlib.asynccontextmanager
async def working(path: Path) -> AsyncIterator[Worker]:
    """Run a worker; another one at the same path goes on with its journal."""
    async with asyncio.TaskGroup() as tasks:
        worker = Worker(path, tasks)
        try:
            yield worker
            await worker.runner.drain(0.0)
        finally:
            worker.journal.close()
