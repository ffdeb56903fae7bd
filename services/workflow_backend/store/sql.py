"""The projection in SQL: what SQLite and PostgreSQL have in common.

Both speak the statements of this package; an adapter brings connections, transactions, migrations
and the words that the two do not share.
"""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, ClassVar

from ..chain.events import Cursor
from ..errors import ProjectionMismatch, ProjectionMoved, ProjectionUnavailable
from ..items import START, STATUSES, Block, Item, Place, mark
from ..times import rfc3339
from . import changes, lists
from .base import Change, EventFilter, ItemFilter, Listed, Position, Whose
from .changes import Rows, Statements
from .rows import pack, shown_event, shown_item, unpack

_RECOUNT = """
SELECT status AS counted, number, (
    SELECT count(*) FROM items WHERE items.status = counts.status
) AS found FROM counts
UNION ALL
SELECT status || ' of ' || client || ' by ' || requester, number, (
    SELECT count(*) FROM items
    WHERE items.client = counted.client AND items.status = counted.status
        AND items.requester = counted.requester
) FROM client_counts AS counted
"""

PAGE = 1_000

type Decide = Callable[[Mapping[str, Any], Rows], Statements]
"""From the projection's state and what it has of the touched items (item_id, status, kind,
requester, client): statements, each with the rows of values that it is run with."""


class SqlStore(ABC):
    """A projection behind SQL. `name` says in errors which one it is.

    `planned` tells whether the database decides by itself which index to walk.
    """

    planned: ClassVar[bool]

    def __init__(self, name: str, chain_id: str, contract: str) -> None:
        self._name = name
        self._chain_id = chain_id
        self._contract = contract
        self._mark = mark(chain_id, contract)

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
        """Return what stands after FROM where one index is to be walked."""

    async def position(self) -> Position:
        """Return how far the projection is."""
        row = await self._state()
        place = Place(*json.loads(row["cursor"])["place"])
        if place == START:
            return Position(row["chain_id"], row["contract"], row["height"], None)
        block = await self.block(place.height)
        time = block.time if block else None
        return Position(row["chain_id"], row["contract"], row["height"], str(place), time)

    async def item(self, item_id: str) -> dict[str, Any] | None:
        """Return one projected item, or None."""
        sql = f"SELECT {lists.SHOWN['items']} FROM items WHERE item_id = $1"  # noqa: S608
        rows = await self._fetch(sql, item_id)
        return shown_item(rows[0]) if rows else None

    async def items(self, which: ItemFilter, limit: int = 100, cursor: str | None = None) -> Listed:
        """Return items, newest first; raises BadCursor."""
        created = await self._places(which.created_from, which.created_before)
        changed = await self._places(which.updated_from, which.updated_before)
        begin = self._begin(cursor)
        walks = [lists.items(each, created, changed, begin) for each in lists.by_requester(which)]
        rows, behind = await self._pages(walks, limit)
        return Listed([shown_item(row) for row in rows], behind)

    async def events(
        self, which: EventFilter, limit: int = 100, cursor: str | None = None
    ) -> Listed:
        """Return events, newest first; raises BadCursor."""
        created = await self._places(which.created_from, which.created_before)
        begin = self._begin(cursor)
        walks = [lists.events(each, created, begin) for each in lists.by_requester(which)]
        rows, behind = await self._pages(walks, limit)
        return Listed([self._event(row) for row in rows], behind)

    async def events_after(self, place: Place, limit: int = 1_000) -> list[dict[str, Any]]:
        """Return the events behind a place, oldest first."""
        sql = (
            f"SELECT {lists.SHOWN['events']} FROM events "  # noqa: S608 - no caller's text
            "WHERE place > $1 ORDER BY place LIMIT $2"
        )
        rows = await self._fetch(sql, min(pack(place), lists.LARGEST_PLACE), limit)
        return [self._event(row) for row in rows]

    def _event(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return shown_event(row, self._chain_id, self._contract)

    async def has_event(self, place: Place) -> bool:
        """Tell whether there is an event at this place."""
        packed = min(pack(place), lists.LARGEST_PLACE)
        return bool(await self._fetch("SELECT place FROM events WHERE place = $1", packed))

    async def block(self, height: int) -> Block | None:
        """Return a block with events, None where the projection does not know it."""
        return await self._block("height = $1", min(height, lists.LARGEST_PLACE))

    async def block_in_which_it_was(self, contract_time: str) -> Block | None:
        """Return the block with events in which the contract's `now` was this time, or None."""
        return await self._block("contract_time = $1", contract_time)

    async def _block(self, which: str, value: Any) -> Block | None:
        sql = f"SELECT height, hash, contract_time, time FROM blocks WHERE {which}"  # noqa: S608
        rows = await self._fetch(sql, value)
        return Block(**rows[0]) if rows else None

    async def counts(self, whose: Whose | None = None) -> dict[str, int]:
        """Return the number of items by status, every status named."""
        found = Counter(dict.fromkeys(STATUSES, 0))
        if whose is None:
            pages = [await self._fetch("SELECT status, number FROM counts")]
        else:
            sql = "SELECT status, number FROM client_counts WHERE client = $1 AND requester = $2"
            pages = [await self._fetch(sql, whose.client, each) for each in whose.requesters]
        for row in chain.from_iterable(pages):
            found[row["status"]] += row["number"]
        return dict(found)

    async def mend(self, item: Item, row: Mapping[str, Any] | None) -> bool:
        """Put an item's record in the place of the row that was seen; tell whether it is right."""
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
            return changes.mend(item, first, last, before) if there == seen else ()

        await self._write([item.item_id], decide)
        return True

    async def count_anew(self) -> None:
        """Count the items by status anew, in one transaction."""
        await self._write([], lambda *_: changes.COUNT_ANEW)

    async def recount(self) -> dict[str, tuple[int, int]]:
        """Return what is counted and what there is, by what is counted."""
        rows = await self._fetch(_RECOUNT)
        return {row["counted"]: (row["number"], row["found"]) for row in rows}

    async def cursor(self) -> Cursor:
        """Return where to read on."""
        return Cursor.from_json(json.loads((await self._state())["cursor"]))

    async def apply(self, change: Change) -> bool:
        """Take in a change in one transaction; tell whether it did, or it was in already."""
        is_new = True

        def decide(state: Mapping[str, Any], before: Rows) -> Statements:
            nonlocal is_new
            self._require(state)
            place = Place(*json.loads(state["cursor"])["place"])
            if place == change.since:
                return changes.take_in(change, state, before)
            if change.cursor.place > place:
                raise ProjectionMoved(
                    f"{self._name} is at {place}, not at {change.since}: "
                    "another process wrote or replaced it"
                )
            is_new = False
            return ()

        touched = {event.item_id for event in change.events if event.item_id is not None}
        await self._write(list(touched), decide)
        return is_new

    async def without_blocks(self) -> list[Place]:
        """Return places of events, in order, that an earlier release took in without blocks."""
        sql = (
            "SELECT place FROM events WHERE place > (SELECT blocks_place FROM projection) "
            "ORDER BY place LIMIT $1"
        )
        rows = await self._fetch(sql, PAGE)
        return [unpack(row["place"]) for row in rows]

    async def add_blocks(self, places: Sequence[Place], blocks: Mapping[int, Block]) -> None:
        """Take in the blocks of events that `without_blocks` told, as far as they are known."""

        def decide(state: Mapping[str, Any], _: Rows) -> Statements:
            self._require(state)
            return changes.complete(places, blocks)

        await self._write([], decide)

    async def _pages(
        self, walks: Sequence[lists.Walk], limit: int
    ) -> tuple[list[Mapping[str, Any]], str | None]:
        """Return a page of several walks in one order, and the cursor behind it."""
        if not walks:
            return [], None
        pages = [await self._page(walk, limit) for walk in walks]
        walk = walks[0]
        rows = walk.merged([row for found, _ in pages for row in found])
        end = walk.nearest([end for _, end in pages if end is not None])
        if end is not None:  # behind it one of the walks may have more
            rows = [row for row in rows if walk.nearest([walk.key(row), end]) == walk.key(row)]
        if len(rows) > limit:
            end = walk.key(rows[limit - 1])
        return rows[:limit], None if end is None else lists.cursor(self._mark, walk, end)

    async def _page(
        self, walk: lists.Walk, limit: int
    ) -> tuple[list[Mapping[str, Any]], tuple[Any, ...] | None]:
        """Return a page of one walk, and the key behind which it goes on."""
        last = walk.end(self._source)
        end = None
        if last is not None:
            found = await self._fetch(last[0], *last[1])
            end = walk.key(found[0]) if found else None
        sql, values = walk.page(self._source, end, limit + 1, planned=self.planned)
        rows = list(await self._fetch(sql, *values))
        if len(rows) > limit:
            end = walk.key(rows[limit - 1])
        return rows[:limit], end

    def _begin(self, cursor: str | None) -> list[Any] | None:
        return None if cursor is None else lists.begin(self._mark, cursor)

    async def _places(self, first: datetime | None, behind: datetime | None) -> lists.Places:
        from_place = None if first is None else await self._first_place(first)
        before = None if behind is None else await self._first_place(behind)
        return from_place, before

    async def _first_place(self, time: datetime) -> int:
        """Return where the first block begins that was committed at a time or later.

        Time never goes back from block to block, so a range of times is a range of places.
        """
        sql = "SELECT height FROM blocks WHERE time >= $1 ORDER BY time LIMIT 1"
        rows = await self._fetch(sql, rfc3339(time))
        return pack(Place(rows[0]["height"], 0, 0)) if rows else lists.LARGEST_PLACE

    async def _state(self) -> Mapping[str, Any]:
        rows = await self._fetch("SELECT chain_id, contract, height, cursor FROM projection")
        if not rows:
            raise ProjectionUnavailable(f"{self._name} holds no projection yet")
        self._require(rows[0])
        return rows[0]

    def _require(self, state: Mapping[str, Any]) -> None:
        """Raise ProjectionMismatch where the projection is of another chain or contract."""
        if (state["chain_id"], state["contract"]) != (self._chain_id, self._contract):
            raise ProjectionMismatch(
                f"{self._name} projects {state['contract']} on {state['chain_id']}, "
                f"not {self._contract} on {self._chain_id}"
            )
