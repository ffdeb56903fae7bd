"""A node in memory whose index may lag, be restored, or get other ids."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from workflow_backend.chain.block_subscription import BlockSubscription
from workflow_backend.chain.events import EventReader
from workflow_backend.chain.index_answers import RecentEvents
from workflow_backend.chain.rpc import Rpc
from workflow_backend.errors import (
    NodeUnavailable,
)
from workflow_backend.items import START, STATUSES, Block, Event, EventPosition, Item
from workflow_backend.projection.projector import Projector
from workflow_backend.store.base import WritableStore

NAMES = ("ItemSubmitted", "ItemClaimed", "ItemCompleted")
SUBMITTED = Item(
    item_id="",
    requester="r",
    kind="job",
    payload_uri="p",
    metadata_ref="",
    client="",
    status="submitted",
    worker="",
    result_uri="",
    failure_reason="",
    created_at="2026-01-01 00:00:00",
    updated_at="2026-01-01 00:00:00",
    attempt=0,
    lease_seconds=0,
    contested_at=None,
)


type Answer = str | list[tuple[str, int]] | None


class Chain:
    """What a node answers: records as they are now, an index that may be behind or have gone.

    `answers` is what happens at the next questions; `reads` counts the records asked for.
    """

    def __init__(self) -> None:
        self.records: dict[str, Item] = {}
        self.all_events: list[Event] = []
        self.indexed = 0
        self.history = "a"
        self.uncommitted: dict[str, Item] = {}
        self.lost: set[int] = set()
        self.step = 1
        self.reads = 0
        self.answers: list[Answer] = []

    @property
    def height(self) -> int:
        """The newest block that holds events."""
        return self.all_events[-1].position.height if self.all_events else 0

    def block(self, items: Sequence[tuple[str, int]], indexed: bool) -> None:
        """Make a block in which each item takes its next steps, so many."""
        self.commit()
        self.uncommitted_block(items, indexed)
        self.commit()

    def commit(self) -> None:
        """Have the state what the newest block did to it, and a block behind that."""
        self.records |= self.uncommitted
        self.uncommitted.clear()

    def uncommitted_block(self, items: Sequence[tuple[str, int]], indexed: bool) -> None:
        """Make a block that the index knows, and the state does not yet."""
        height, tx = len({each.position.height for each in self.all_events}) + 1, 0
        for item_id, steps in items:
            for _ in range(steps):
                before = self.uncommitted.get(item_id) or self.records.get(item_id)
                number = 0 if before is None else min(STATUSES.index(before.status) + 1, 2)
                now = replace(
                    before or replace(SUBMITTED, item_id=item_id),
                    status=STATUSES[number],
                    updated_at=f"2026-01-01 00:{height:02}:{tx:02}",
                )
                self.uncommitted[item_id] = now
                position = EventPosition(height, tx, 0)
                event = Event(position, NAMES[number], {"item_id": item_id}, "AB", str(height), 0)
                self.all_events.append(event)
                tx += 1
        if indexed:
            self.indexed = height

    async def _asked(self) -> None:
        await asyncio.sleep(0)
        match self.answers.pop() if self.answers else None:
            case "away":
                raise NodeUnavailable("the node is away")
            case list() as block:
                self.block(block, indexed=True)

    async def indexed_height(self) -> int:
        await self._asked()
        return self.indexed

    async def recent_events(self, limit: int) -> RecentEvents:
        await self._asked()
        rows = [
            replace(each, index_id=number * self.step)
            for number, each in enumerate(self.all_events, 1)
            if each.position.height <= self.indexed
        ][-limit:]
        positions = [each.position for each in rows]
        return RecentEvents(rows, positions, positions[0] if len(rows) == limit else START)

    async def events(self, name: str, after_id: int, limit: int) -> list[Event]:
        await self._asked()
        rows = [
            replace(each, index_id=number * self.step)
            for number, each in enumerate(self.all_events, 1)
            if each.position.height <= self.indexed + 1  # the block that is being indexed just now
        ]
        return [each for each in rows if each.name == name and each.index_id > after_id][:limit]

    async def items(self, ids: Sequence[str]) -> list[Item | None]:
        await self._asked()
        self.reads += len(ids)
        return [self.records.get(item_id) for item_id in ids]

    async def committed(self, heights: Collection[int]) -> dict[int, Block]:
        """Answer as `Blocks` does."""
        await self._asked()
        top = self.height - bool(self.uncommitted)
        return {
            height: Block(height, f"{self.history}{height}", f"contract {height}", f"time {height}")
            for height in heights
            if height <= top and height not in self.lost
        }


class FakeSubscription(BlockSubscription):
    """Block notices of this chain, which is ahead of its index, while they are heard."""

    def __init__(self, chain: Chain, *, heard: bool) -> None:
        self._chain = chain
        self._heard = heard
        super().__init__(Rpc(""))

    @property
    def height(self) -> int:
        return self._chain.height - bool(self._chain.uncommitted) if self._heard else 0

    @height.setter
    def height(self, _: int) -> None:
        """It is what the chain says."""


def projector(chain: Chain, store: WritableStore, page: int, *, heard: bool = False) -> Projector:
    subscription = FakeSubscription(chain, heard=heard)
    made = Projector(chain, store, subscription, lambda _: None)  # type: ignore[arg-type]
    made._blocks = made._reader._blocks = chain  # type: ignore[assignment]
    made._reader._reader = EventReader(chain, NAMES, page=page)  # type: ignore[arg-type]
    return made
