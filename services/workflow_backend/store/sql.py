"""The projection in SQL: what SQLite and PostgreSQL have in common.

Both run the statements of this package. An adapter adds connections, transactions, migrations and
the syntax that the two do not share.
"""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, ClassVar

from ..chain.events import Cursor
from ..errors import BadCursor, ProjectionMismatch, ProjectionMoved, ProjectionUnavailable
from ..items import START, STATUSES, Block, EventPosition, Item, fingerprint
from ..times import rfc3339
from . import changes, counts, lists
from .base import Change, ClientScope, EventFilter, ItemFilter, ListPage, ProjectionProgress
from .pages import PageReader
from .prerequisites import add_blocked_by
from .rows import Rows, Statements, event_row, item_row, pack, unpack

PAGE = 1_000

type Decide = Callable[[Mapping[str, Any], Rows], Statements]
"""From the projection's state and what it has of the touched items (item_id, status, kind,
requester, client): statements, each with the rows of values that it is run with."""


class SqlStore(ABC):
    """A projection behind SQL. `name` says in errors which one it is.

    `planned` tells whether the database chooses the index of a list itself.
    """

    planned: ClassVar[bool]

    def __init__(self, name: str, chain_id: str, contract: str) -> None:
        self._name = name
        self._chain_id = chain_id
        self._contract = contract
        self._mark = fingerprint(chain_id, contract)
        self._generation: str | None = None

    @abstractmethod
    async def _fetch(self, sql: str, *values: Any) -> Rows:
        """Return the rows that a statement gives; raises ProjectionUnavailable."""

    @abstractmethod
    async def _write(self, item_ids: Sequence[str], decide: Decide) -> None:
        """Read, decide and run in one transaction that no other writer's runs beside.

        Raises ProjectionUnavailable.
        """

    @abstractmethod
    def _source(self, table: str, index: str | None) -> str:
        """Return the text after FROM that makes a query scan one index."""

    async def progress(self) -> ProjectionProgress:
        """Return how far the projection is."""
        row = await self._state()
        position = EventPosition(*json.loads(row["cursor"])["place"])
        if position == START:
            return ProjectionProgress(row["chain_id"], row["contract"], row["height"], None)
        block = await self.block(position.height)
        time = block.time if block else None
        at = (row["chain_id"], row["contract"], row["height"])
        return ProjectionProgress(*at, str(position), time)

    async def item(self, item_id: str) -> dict[str, Any] | None:
        """Return the row of an item, or None."""
        sql = f"SELECT {lists.COLUMNS['items']} FROM items WHERE item_id = $1"  # noqa: S608
        found = [item_row(row) for row in await self._fetch(sql, item_id)]
        await add_blocked_by(self._fetch, found)
        return found[0] if found else None

    async def items(
        self,
        which: ItemFilter,
        limit: int = 100,
        cursor: str | None = None,
        before_event: EventPosition | None = None,
    ) -> ListPage:
        """Return items, newest first; raises BadCursor."""
        created = await self._position_range(which.created_from, which.created_before)
        changed = await self._position_range(which.updated_from, which.updated_before)
        if before_event is None:
            begin = self._begin(cursor)
        else:
            begin = await self._behind_item_of(before_event, which)
        scans = [
            lists.items(each, created, changed, begin) for each in lists.split_by_requester(which)
        ]
        rows, behind = await self._page(scans, limit)
        found = [item_row(row) for row in rows]
        await add_blocked_by(self._fetch, found)
        return ListPage(found, behind)

    async def events(
        self,
        which: EventFilter,
        limit: int = 100,
        cursor: str | None = None,
        before: EventPosition | None = None,
    ) -> ListPage:
        """Return events, newest first; raises BadCursor."""
        created = await self._position_range(which.created_from, which.created_before)
        begin = self._begin(cursor) if before is None else lists.behind_event(_packed(before))
        scans = [lists.events(each, created, begin) for each in lists.split_by_requester(which)]
        rows, behind = await self._page(scans, limit)
        return ListPage([self._event(row) for row in rows], behind)

    async def events_after(
        self, position: EventPosition, limit: int = 1_000
    ) -> list[dict[str, Any]]:
        """Return the events after a position, oldest first."""
        sql = (
            f"SELECT {lists.COLUMNS['events']} FROM events "  # noqa: S608 - no caller's text
            "WHERE place > $1 ORDER BY place LIMIT $2"
        )
        rows = await self._fetch(sql, _packed(position), limit)
        return [self._event(row) for row in rows]

    def _event(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return event_row(row, self._chain_id, self._contract)

    async def has_event(self, position: EventPosition) -> bool:
        """Return whether there is an event at this position."""
        sql = "SELECT place FROM events WHERE place = $1"
        return bool(await self._fetch(sql, _packed(position)))

    async def block(self, height: int) -> Block | None:
        """Return a block with events, None where the projection does not know it."""
        return await self._block("height = $1", min(height, lists.MAX_PACKED_POSITION))

    async def block_at_contract_time(self, contract_time: str) -> Block | None:
        """Return the block with events in which the contract's `now` was this time, or None."""
        return await self._block("contract_time = $1", contract_time)

    async def _block(self, which: str, value: Any) -> Block | None:
        sql = f"SELECT height, hash, contract_time, time FROM blocks WHERE {which}"  # noqa: S608
        rows = await self._fetch(sql, value)
        return Block(**rows[0]) if rows else None

    async def counts(self, scope: ClientScope | None = None) -> dict[str, int]:
        """Return the number of items in each status."""
        found = Counter(dict.fromkeys(STATUSES, 0))
        if scope is None:
            pages = [await self._fetch("SELECT status, number FROM counts")]
        else:
            sql = "SELECT status, number FROM client_counts WHERE client = $1 AND requester = $2"
            pages = [await self._fetch(sql, scope.client, each) for each in scope.requesters]
        for row in chain.from_iterable(pages):
            found[row["status"]] += row["number"]
        return dict(found)

    async def event_count(self, scope: ClientScope | None = None) -> int:
        """Return the number of events."""
        sql = "SELECT number FROM event_counts WHERE client = $1 AND requester = $2"
        of = [("", "")] if scope is None else [(scope.client, each) for each in scope.requesters]
        found = chain.from_iterable([await self._fetch(sql, *each) for each in of])
        return sum(row["number"] for row in found)

    async def repair(self, item: Item, row: Mapping[str, Any] | None) -> bool:
        """Replace the row that was read by the item's record; return whether it is right now."""
        if row is not None and any(row[name] != getattr(item, name) for name in changes.FIXED):
            return False
        events = await self._fetch(
            "SELECT min(place) AS first, max(place) AS last FROM events WHERE item_id = $1",
            item.item_id,
        )
        first, last = events[0]["first"], events[0]["last"]
        if first is None:
            return False
        taken = "SELECT item_id FROM items WHERE place = $1 AND item_id <> $2"
        if row is None and await self._fetch(taken, first, item.item_id):
            return False  # the row of another item stands where this one's belongs

        def decide(state: Mapping[str, Any], before: Rows) -> Statements:
            self._require(state)
            now = before[0] if before else None
            seen = None if row is None else (row["status"], row["attempt"], row["updated_at"])
            there = None if now is None else (now["status"], now["attempt"], now["updated_at"])
            return changes.repair_statements(item, first, last, before) if there == seen else ()

        await self._write([item.item_id], decide)
        return True

    async def rebuild_counts(self) -> None:
        """Recompute the numbers of items by status in one transaction."""
        await self._write([], lambda *_: counts.REBUILD)

    async def audit_counts(self) -> dict[str, tuple[int, int]]:
        """Return (stored, actual) numbers of items, by what is counted."""
        rows = await self._fetch(counts.AUDIT)
        return {row["counted"]: (row["number"], row["found"]) for row in rows}

    async def cursor(self) -> Cursor:
        """Return the cursor for the next page of events."""
        state = await self._state()
        self._generation = state["generation"]
        return Cursor.from_json(json.loads(state["cursor"]))

    async def apply(self, change: Change) -> bool:
        """Apply a change in one transaction; return False if it was applied before."""
        is_new = True

        def decide(state: Mapping[str, Any], before: Rows) -> Statements:
            nonlocal is_new
            self._require(state)
            position = EventPosition(*json.loads(state["cursor"])["place"])
            # One that was built anew may have older records up to the same position.
            is_same = self._generation in {None, state["generation"]}
            if position == change.since and is_same:
                return changes.apply_statements(change, state, before)
            if change.cursor.position > position or not is_same:
                raise ProjectionMoved(
                    f"{self._name} is at {position}, not at {change.since}: "
                    "another process wrote or replaced it"
                )
            is_new = False
            return ()

        touched = {event.item_id for event in change.events if event.item_id is not None}
        await self._write(list(touched), decide)
        return is_new

    async def positions_without_blocks(self) -> list[EventPosition]:
        """Return positions, in order, of events projected by an earlier release without blocks."""
        sql = (
            "SELECT place FROM events WHERE place > (SELECT blocks_place FROM projection) "
            "ORDER BY place LIMIT $1"
        )
        rows = await self._fetch(sql, PAGE)
        return [unpack(row["place"]) for row in rows]

    async def backfill_blocks(
        self, positions: Sequence[EventPosition], blocks: Mapping[int, Block]
    ) -> None:
        """Add the known blocks of events that `positions_without_blocks` returned."""

        def decide(state: Mapping[str, Any], _: Rows) -> Statements:
            self._require(state)
            return changes.backfill_statements(positions, blocks)

        await self._write([], decide)

    async def _page(self, scans: Sequence[lists.IndexScan], limit: int) -> tuple[Rows, str | None]:
        """Return a page that merges the scans, and the cursor after it."""
        reader = PageReader(self._fetch, self._source, planned=self.planned)
        rows, end = await reader.merge(scans, limit)
        return rows, None if end is None else lists.cursor(self._mark, scans[0], end)

    def _begin(self, cursor: str | None) -> list[Any] | None:
        return None if cursor is None else lists.begin(self._mark, cursor)

    async def _behind_item_of(self, event: EventPosition, which: ItemFilter) -> list[Any]:
        """Return the key of the item that had an event; raises BadCursor where there is none."""
        sql = (
            "SELECT place, item_id FROM items "
            "WHERE item_id = (SELECT item_id FROM events WHERE place = $1)"
        )
        rows = await self._fetch(sql, _packed(event))
        if not rows:
            raise BadCursor
        # The item may have moved since the page was read: this is where it stood then.
        return lists.behind_item(which, {**rows[0], "last_place": _packed(event)})

    async def _position_range(
        self, first: datetime | None, behind: datetime | None
    ) -> lists.PositionRange:
        from_position = None if first is None else await self._first_position(first)
        before = None if behind is None else await self._first_position(behind)
        return from_position, before

    async def _first_position(self, time: datetime) -> int:
        """Return the packed position of the first block that was committed at a time or later.

        Time never goes back from block to block, so a range of times is a range of positions.
        """
        sql = "SELECT height FROM blocks WHERE time >= $1 ORDER BY time LIMIT 1"
        rows = await self._fetch(sql, rfc3339(time))
        return pack(EventPosition(rows[0]["height"], 0, 0)) if rows else lists.MAX_PACKED_POSITION

    async def _state(self) -> Mapping[str, Any]:
        rows = await self._fetch(
            "SELECT chain_id, contract, height, cursor, generation FROM projection"
        )
        if not rows:
            raise ProjectionUnavailable(f"{self._name} holds no projection yet")
        self._require(rows[0])
        return rows[0]

    def _require(self, state: Mapping[str, Any]) -> None:
        """Raise ProjectionMismatch if the projection is of another chain or contract."""
        if (state["chain_id"], state["contract"]) != (self._chain_id, self._contract):
            raise ProjectionMismatch(
                f"{self._name} projects {state['contract']} on {state['chain_id']}, "
                f"not {self._contract} on {self._chain_id}"
            )


def _packed(position: EventPosition) -> int:
    """Pack a position that a client named, which may be too large for the databases."""
    return min(pack(position), lists.MAX_PACKED_POSITION)
