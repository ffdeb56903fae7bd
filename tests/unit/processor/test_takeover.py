"""Taking over a dead worker's item, with this machine's clock anywhere."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.chain.contract import Action
from workflow_backend.chain.tickets import Ticket
from workflow_backend.items import Item, Outcome
from workflow_backend.processor.handlers.kinds import Kind, RetryPolicy
from workflow_backend.processor.journal import Journal, Open
from workflow_backend.processor.processor import Processor
from workflow_backend.pulse import Pulse

ME, DEAD = "a" * 64, "b" * 64
LEASE = 1


class Chain:
    """One item that a dead worker holds, and the contract's rule for who takes it over.

    `now` is the chain's time; `contested` says whether somebody contended long ago.
    """

    address = ME

    def __init__(self, now: Callable[[], float], *, contested: bool) -> None:
        self._now = now
        self.contentions = 0
        self.taken = asyncio.Event()
        self.item = Item(
            item_id="a",
            requester="r",
            kind="job",
            payload_uri="p",
            metadata_ref="",
            client="",
            status="processing",
            worker=DEAD,
            result_uri="",
            failure_reason="",
            created_at=self._text(-100),
            updated_at=self._text(-50),
            attempt=1,
            lease_seconds=LEASE,
            contested_at=self._text(-40) if contested else None,
        )

    def _text(self, later: float = 0.0) -> str:
        return str(datetime.fromtimestamp(self._now() + later, UTC).replace(tzinfo=None))

    async def items(self, ids: Sequence[str]) -> list[Item]:
        return [self.item for _ in ids]

    def enqueue(self, action: Action) -> Ticket:
        ticket = Ticket(action)
        assert action.name == "claim"
        self.contentions += 1
        code = "leased"
        if self.item.contested_at is None:
            self.item = replace(self.item, contested_at=self._text())
        elif self.item.contested_at <= self._text(-LEASE):
            code = "ok"
            self.item = replace(self.item, worker=ME, attempt=2, contested_at=None)
            self.taken.set()
        got = self.item if code == "ok" else None
        ticket.settle(Outcome("a", code, code, self.item.attempt, got, "AB", 1))
        return ticket

    async def submit(self, action: Action) -> Outcome:
        return await self.enqueue(action).outcome()


class Hands:
    """A handler that never ends."""

    connected, problem = True, ""
    on_change: Callable[[], None]

    def __init__(self) -> None:
        self.kinds = {"job": Kind(1, 60.0, RetryPolicy(1, 1.0, 1.0))}

    async def run(self, *_: Any, **__: Any) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("minutes", [-10, 0, 10])
@pytest.mark.parametrize("contested", [False, True])
async def test_takeover_does_not_ask_the_local_clock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, minutes: int, contested: bool
) -> None:
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + 60.0 * minutes)
    chain, nothing = Chain(true, contested=contested), Any
    journal = Journal(tmp_path / "processor.sqlite3", "chain-1", "con_job_workflow")
    journal.put([Open("a", "job", 0.0)])
    processor = Processor(
        chain,  # type: ignore[arg-type]
        nothing,  # type: ignore[arg-type]
        chain,  # type: ignore[arg-type]
        journal,
        Hands(),  # type: ignore[arg-type]
        scope="chain-1/con_job_workflow",
        lease_seconds=60,
    )
    claiming = asyncio.create_task(processor.claim(Pulse("claiming")))
    async with asyncio.timeout(20):
        await chain.taken.wait()
    claiming.cancel()
    await asyncio.wait([claiming])
    await processor.drain(0.0)
    journal.close()
    # Once for a clock that runs already; else it is started, asked for, and waited for.
    assert chain.contentions <= (2 if contested else 5)
