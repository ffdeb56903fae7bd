"""The projection in SQL: what SQLite and PostgreSQL have in common.

Both speak the statements of this package; an adapter brings connections, transactions, migrations
and the words that the two do not share.
"""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, ClassVar

from ..chain.events import Cursor
from ..errors import ProjectionMismatch, ProjectionMoved, ProjectionUnavailable
from ..items import STATUSES, Event, Item, Place
from . import lists
from .base import Change, EventFilter, ItemFilter, Listed, Position, Whose

_fields = attrgetter(*Item.__slots__)

_UPSERT_ITEM = """
INSERT INTO items (
    place, item_id, requester, kind, payload_uri, metadata_ref, client, status, worker,
    result_uri, failure_reason, created_at, updated_at, attempt, lease_seconds, contested_at
) VALUES (
    $1, $2, $3, $4, $5, $6, nullif($7, ''), $8, $9, $10, $11, $12, $13, $14, $15, $16
)
ON CONFLICT (item_id) DO UPDATE SET
    status = excluded.status,
    worker = excluded.worker,
    result_uri = excluded.result_uri,
    failure_reason = excluded.failure_reason,
    updated_at = excluded.updated_at,
    attempt = excluded.attempt,
    lease_seconds = excluded.lease_seconds,
    contested_at = excluded.contested_at
"""
_INSERT_EVENT = """
INSERT INTO events (
    place, name, item_id, kind, requester, client, worker, data, tx_hash, created_at
) VALUES ($1, $2, $3, $4, $5, nullif($6, ''), $7, $8, $9, $10) ON CONFLICT DO NOTHING
"""
_COUNT = (
    "INSERT INTO counts (status, number) VALUES ($1, $2) "
    "ON CONFLICT (status) DO UPDATE SET number = counts.number + excluded.number"
)
_COUNT_CLIENT = (
    "INSERT INTO client_counts (client, requester, status, number) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT (client, requester, status) "
    "DO UPDATE SET number = client_counts.number + excluded.number"
)
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

type Rows = Sequence[Mapping[str, Any]]
type Statements = Iterable[tuple[str, Iterable[Sequence[Any]]]]
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
        return Position(
            row["chain_id"],
            row["contract"],
            row["height"],
            str(place) if place.height >= 0 else None,
        )

    async def item(self, item_id: str) -> dict[str, Any] | None:
        """Return one projected item, or None."""
        rows = await self._fetch("SELECT * FROM items WHERE item_id = $1", item_id)
        return _item(rows[0]) if rows else None

    async def items(self, which: ItemFilter, limit: int = 100, cursor: str | None = None) -> Listed:
        """Return items, newest first; raises BadCursor."""
        created = await self._places("items", which.created_from, which.created_before)
        rows, behind = await self._page(lists.items(which, created, cursor), limit)
        return Listed([_item(row) for row in rows], behind)

    async def events(
        self, which: EventFilter, limit: int = 100, cursor: str | None = None
    ) -> Listed:
        """Return events, newest first; raises BadCursor."""
        created = await self._places("events", which.created_from, which.created_before)
        rows, behind = await self._page(lists.events(which, created, cursor), limit)
        return Listed([_event(row) for row in rows], behind)

    async def events_after(self, place: Place, limit: int = 1_000) -> list[dict[str, Any]]:
        """Return the events behind a place, oldest first."""
        rows = await self._fetch(
            "SELECT * FROM events WHERE place > $1 ORDER BY place LIMIT $2",
            min(_pack(place), lists.LARGEST_PLACE),
            limit,
        )
        return [_event(row) for row in rows]

    async def counts(self, whose: Whose | None = None) -> dict[str, int]:
        """Return the number of items by status, every status named."""
        found = Counter(dict.fromkeys(STATUSES, 0))
        if whose is None:
            rows = await self._fetch("SELECT status, number FROM counts")
        else:
            sql = "SELECT requester, status, number FROM client_counts WHERE client = $1"
            told = await self._fetch(sql, whose.client)
            rows = [row for row in told if row["requester"] in whose.requesters]
        for row in rows:
            found[row["status"]] += row["number"]
        return dict(found)

    async def recount(self) -> dict[str, tuple[int, int]]:
        """Return what is counted and what there is, by what is counted."""
        rows = await self._fetch(_RECOUNT)
        return {row["counted"]: (row["number"], row["found"]) for row in rows}

    async def cursor(self) -> Cursor:
        """Return where to read on."""
        return Cursor.from_json(json.loads((await self._state())["cursor"]))

    async def apply(self, change: Change) -> None:
        """Take in a change in one transaction; one that is in already changes nothing."""
        touched = {event.item_id for event in change.events if event.item_id is not None}
        await self._write(list(touched), partial(self._decide, change))

    def _decide(self, change: Change, state: Mapping[str, Any], before: Rows) -> Statements:
        self._require(state)
        place = Place(*json.loads(state["cursor"])["place"])
        if place != change.since:
            if change.cursor.place <= place:
                return
            raise ProjectionMoved(
                f"{self._name} is at {place}, not at {change.since}: "
                "another process wrote or replaced it"
            )
        if change.events:
            yield from _take_in(change, before)
        cursor = json.dumps(change.cursor.as_json())
        height = max(state["height"], change.height)
        yield "UPDATE projection SET cursor = $1, height = $2", [(cursor, height)]

    async def _page(
        self, walk: lists.Walk, limit: int
    ) -> tuple[list[Mapping[str, Any]], str | None]:
        last = walk.end(self._source)
        end = None
        if last is not None:
            found = await self._fetch(last[0], *last[1])
            end = walk.key(found[0]) if found else None
        sql, values = walk.page(self._source, end, limit + 1, planned=self.planned)
        rows = list(await self._fetch(sql, *values))
        if len(rows) > limit:
            end = walk.key(rows[limit - 1])
        return rows[:limit], None if end is None else walk.cursor(end)

    async def _places(
        self, table: str, first: datetime | None, behind: datetime | None
    ) -> lists.Places:
        from_place = None if first is None else await self._first_place(table, first)
        before = None if behind is None else await self._first_place(table, behind)
        return from_place, before

    async def _first_place(self, table: str, created: datetime) -> int:
        sql, values = lists.first_place(table, self._source, created)
        rows = await self._fetch(sql, *values)
        return rows[0]["place"] if rows else lists.LARGEST_PLACE

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


def _take_in(change: Change, before: Rows) -> Statements:
    records = {item.item_id: item for item in change.items}
    first: dict[str | None, int] = {}
    for event in change.events:
        first.setdefault(event.item_id, _pack(event.place))
    about: dict[str | None, tuple[Any, ...]] = {None: (None, None, None)}
    about |= {row["item_id"]: (row["kind"], row["requester"], row["client"]) for row in before}
    about |= {item.item_id: (item.kind, item.requester, item.client) for item in change.items}
    yield _INSERT_EVENT, (_event_row(event, about[event.item_id]) for event in change.events)
    yield _UPSERT_ITEM, ((first[item.item_id], *_fields(item)) for item in records.values())
    moved = Counter((item.client, item.requester, item.status) for item in records.values())
    moved.subtract(
        (row["client"] or "", row["requester"], row["status"])
        for row in before
        if row["item_id"] in records
    )
    by_status = Counter[str]()
    for (_, _, status), number in moved.items():
        by_status[status] += number
    yield _COUNT, [entry for entry in by_status.items() if entry[1]]
    yield _COUNT_CLIENT, [(*of, number) for of, number in moved.items() if of[0] and number]


def _pack(place: Place) -> int:
    """Return a place as one integer that sorts as places do."""
    if place.height < 0:
        return -1
    return place.height << 32 | place.tx_index << 16 | place.event_index


def _event_row(event: Event, about: tuple[Any, ...]) -> tuple[Any, ...]:
    return (
        _pack(event.place),
        event.name,
        event.item_id,
        *about,
        event.data.get("worker"),
        json.dumps(event.data),
        event.tx_hash,
        event.created_at,
    )


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    record = dict(row)
    del record["place"]  # where the item stands in a list is the store's own affair
    record["client"] = record["client"] or ""
    return record


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    place = row["place"]
    where = Place(place >> 32, place >> 16 & 0xFFFF, place & 0xFFFF)
    return {
        "id": str(where),
        "block_height": where.height,
        "event": row["name"],
        "item_id": row["item_id"],
        "kind": row["kind"],
        "requester": row["requester"],
        "client": row["client"] or "",
        "worker": row["worker"],
        "data": json.loads(row["data"]),
        "tx_hash": row["tx_hash"],
        "created_at": row["created_at"],
    }
