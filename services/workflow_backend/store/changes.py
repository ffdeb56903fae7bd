"""The statements that write a change to the projection, each with its rows of parameters."""

import json
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from ..items import Block, Event, EventPosition, Item
from . import counts
from .base import Change
from .rows import Rows, Statements, pack

FIXED = (
    "item_id", "requester", "kind", "payload_uri", "metadata_ref", "client", "created_at",
    "priority", "not_before", "after",
)  # fmt: skip
"""Fields that no action on an item changes."""

_CHANGING = tuple(name for name in Item.__slots__ if name not in FIXED)


def _upsert() -> str:
    columns = ("place", *Item.__slots__, "last_place")
    marks = [
        f"nullif(${number}, '')" if name == "client" else f"${number}"
        for number, name in enumerate(columns, 1)
    ]
    changes = ", ".join(f"{name} = excluded.{name}" for name in (*_CHANGING, "last_place"))
    # A place is taken by another item only in a transaction that was made for it: see `pack`.
    return (
        f"INSERT INTO items ({', '.join(columns)}) SELECT {', '.join(marks)} "  # noqa: S608
        "WHERE NOT EXISTS (SELECT 1 FROM items WHERE place = $1 AND item_id <> $2) "
        f"ON CONFLICT (item_id) DO UPDATE SET {changes}"
    )


def _update() -> str:
    changes = [f"{name} = ${number}" for number, name in enumerate((*_CHANGING, "last_place"), 2)]
    return f"UPDATE items SET {', '.join(changes)} WHERE item_id = $1"  # noqa: S608


_UPSERT_ITEM = _upsert()
_UPDATE_ITEM = _update()
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


_fields = attrgetter(*Item.__slots__)
_AFTER = Item.__slots__.index("after")


def _values(item: Item) -> list[Any]:
    """Return an item's fields as the database has them."""
    values = list(_fields(item))
    values[_AFTER] = json.dumps(item.after)
    return values


def apply_statements(change: Change, state: Mapping[str, Any], before: Rows) -> Statements:
    """Yield the statements that apply a change.

    `state` is the projection's row, `before` are the rows of the items that the change touches.
    """
    if change.events:
        yield from _rows(change, before)
    since, place = pack(change.since), pack(change.cursor.position)
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
        last[event.item_id] = pack(event.position)
        first.setdefault(event.item_id, last[event.item_id])
    yield _INSERT_BLOCK, change.blocks.values()
    about: dict[str | None, tuple[Any, ...]] = {None: (None, None, None)}
    about |= {row["item_id"]: (row["kind"], row["requester"], row["client"]) for row in before}
    about |= {item.item_id: (item.kind, item.requester, item.client) for item in change.items}
    yield _INSERT_EVENT, (_event_row(event, about[event.item_id]) for event in change.events)
    yield counts.event_statement(about[event.item_id] for event in change.events)
    yield (
        _UPSERT_ITEM,
        ((first[item.item_id], *_values(item), last[item.item_id]) for item in records.values()),
    )
    yield (
        _MOVE_ITEM,
        [(place, item_id) for item_id, place in last.items() if item_id not in records],
    )
    yield from counts.item_statements(
        records.values(), [row for row in before if row["item_id"] in records]
    )


def repair_statements(item: Item, first: int, last: int, before: Rows) -> Statements:
    """Yield what replaces an item's row, or inserts it; `first` and `last` are packed positions."""
    if before:
        values = (item.item_id, *(getattr(item, name) for name in _CHANGING), last)
        yield _UPDATE_ITEM, [values]
    else:
        yield _UPSERT_ITEM, [(first, *_values(item), last)]
    yield from counts.item_statements([item], before)


def backfill_statements(
    positions: Sequence[EventPosition], blocks: Mapping[int, Block]
) -> Statements:
    """Yield the statements that add blocks to events that are projected already, in order."""
    yield _INSERT_BLOCK, blocks.values()
    yield _MOVE_ITEM_OF, [(pack(position),) for position in positions]
    yield "UPDATE projection SET blocks_place = $1", [(pack(positions[-1]),)]


def _event_row(event: Event, about: tuple[Any, ...]) -> tuple[Any, ...]:
    return (
        pack(event.position),
        event.name,
        event.item_id,
        *about,
        event.data.get("worker"),
        json.dumps(event.data),
        event.tx_hash,
        event.created_at,
    )
