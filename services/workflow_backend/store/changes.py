"""What a change of the projection writes: statements, each with the rows that it is run with."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from ..items import Block, Event, Item, Place
from .base import Change
from .rows import pack

_fields = attrgetter(*Item.__slots__)

_UPSERT_ITEM = """
INSERT INTO items (
    place, item_id, requester, kind, payload_uri, metadata_ref, client, status, worker,
    result_uri, failure_reason, created_at, updated_at, attempt, lease_seconds, contested_at,
    last_place
) VALUES (
    $1, $2, $3, $4, $5, $6, nullif($7, ''), $8, $9, $10, $11, $12, $13, $14, $15, $16, $17
)
ON CONFLICT (item_id) DO UPDATE SET
    status = excluded.status,
    worker = excluded.worker,
    result_uri = excluded.result_uri,
    failure_reason = excluded.failure_reason,
    updated_at = excluded.updated_at,
    attempt = excluded.attempt,
    lease_seconds = excluded.lease_seconds,
    contested_at = excluded.contested_at,
    last_place = excluded.last_place
"""
_UPDATE_ITEM = """
UPDATE items SET status = $2, worker = $3, result_uri = $4, failure_reason = $5, updated_at = $6,
    attempt = $7, lease_seconds = $8, contested_at = $9, last_place = $10
WHERE item_id = $1
"""
_CHANGING = (
    "status", "worker", "result_uri", "failure_reason", "updated_at", "attempt",
    "lease_seconds", "contested_at",
)  # fmt: skip
FIXED = tuple(name for name in Item.__slots__ if name not in _CHANGING)
"""What no change of an item changes."""

_MOVE_ITEM = "UPDATE items SET last_place = $1 WHERE item_id = $2"
_INSERT_EVENT = """
INSERT INTO events (
    place, name, item_id, kind, requester, client, worker, data, tx_hash, created_at
) VALUES ($1, $2, $3, $4, $5, nullif($6, ''), $7, $8, $9, $10) ON CONFLICT DO NOTHING
"""
_INSERT_BLOCK = (
    "INSERT INTO blocks (height, hash, contract_time, time) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT DO NOTHING"
)
_MOVE_ITEM_OF = """
UPDATE items SET last_place = $1
WHERE item_id = (SELECT item_id FROM events WHERE place = $1)
    AND (last_place IS NULL OR last_place < $1)
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

COUNT_ANEW = (
    ("DELETE FROM counts", [()]),
    ("DELETE FROM client_counts", [()]),
    ("INSERT INTO counts SELECT status, count(*) FROM items GROUP BY status", [()]),
    (
        """
        INSERT INTO client_counts SELECT client, requester, status, count(*) FROM items
        WHERE client IS NOT NULL GROUP BY client, requester, status
        """,
        [()],
    ),
)

type Rows = Sequence[Mapping[str, Any]]
type Statements = Iterable[tuple[str, Iterable[Sequence[Any]]]]


def take_in(change: Change, state: Mapping[str, Any], before: Rows) -> Statements:
    """Yield what takes in a change.

    `state` is the projection's, `before` what it has of the items that the change touches.
    """
    if change.events:
        yield from _rows(change, before)
    since, place = pack(change.since), pack(change.cursor.place)
    cursor = json.dumps(change.cursor.as_json())
    height = max(state["height"], change.height)
    complete_to = place if state["blocks_place"] == since else state["blocks_place"]
    yield (
        "UPDATE projection SET cursor = $1, height = $2, blocks_place = $3",
        [(cursor, height, complete_to)],
    )


def _rows(change: Change, before: Rows) -> Statements:
    records = {item.item_id: item for item in change.items}
    first: dict[str | None, int] = {}
    last: dict[str | None, int] = {}
    for event in change.events:
        last[event.item_id] = pack(event.place)
        first.setdefault(event.item_id, last[event.item_id])
    yield _INSERT_BLOCK, change.blocks.values()
    about: dict[str | None, tuple[Any, ...]] = {None: (None, None, None)}
    about |= {row["item_id"]: (row["kind"], row["requester"], row["client"]) for row in before}
    about |= {item.item_id: (item.kind, item.requester, item.client) for item in change.items}
    yield _INSERT_EVENT, (_event_row(event, about[event.item_id]) for event in change.events)
    yield (
        _UPSERT_ITEM,
        ((first[item.item_id], *_fields(item), last[item.item_id]) for item in records.values()),
    )
    yield (
        _MOVE_ITEM,
        [(place, item_id) for item_id, place in last.items() if item_id not in records],
    )
    yield from _counts(records.values(), [row for row in before if row["item_id"] in records])


def _counts(items: Iterable[Item], before: Rows) -> Statements:
    """Yield what counts items that were as `before` says."""
    moved = Counter((item.client, item.requester, item.status) for item in items)
    moved.subtract((row["client"] or "", row["requester"], row["status"]) for row in before)
    by_status = Counter[str]()
    for (_, _, status), number in moved.items():
        by_status[status] += number
    yield _COUNT, [entry for entry in by_status.items() if entry[1]]
    yield _COUNT_CLIENT, [(*of, number) for of, number in moved.items() if of[0] and number]


def mend(item: Item, first: int, last: int, before: Rows) -> Statements:
    """Yield what puts a record in the place of a row, or of none; its events have these places."""
    if before:
        values = (item.item_id, *(getattr(item, name) for name in _CHANGING), last)
        yield _UPDATE_ITEM, [values]
    else:
        yield _UPSERT_ITEM, [(first, *_fields(item), last)]
    yield from _counts([item], before)


def complete(places: Sequence[Place], blocks: Mapping[int, Block]) -> Statements:
    """Yield what takes in the blocks of events that are in already, in their order."""
    yield _INSERT_BLOCK, blocks.values()
    yield _MOVE_ITEM_OF, [(pack(place),) for place in places]
    yield "UPDATE projection SET blocks_place = $1", [(pack(places[-1]),)]


def _event_row(event: Event, about: tuple[Any, ...]) -> tuple[Any, ...]:
    return (
        pack(event.place),
        event.name,
        event.item_id,
        *about,
        event.data.get("worker"),
        json.dumps(event.data),
        event.tx_hash,
        event.created_at,
    )
