"""Rows: as the database has them, and as readers get them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..items import START, EventPosition
from ..times import parse

type Rows = Sequence[Mapping[str, Any]]
type Statement = tuple[str, Iterable[Sequence[Any]]]
"""A statement, with the rows of values that it is run with."""
type Statements = Iterable[Statement]


def pack(position: EventPosition) -> int:
    """Return a position as one integer that sorts as positions do.

    Only a transaction that was made for it has more than 65,535 events. Those behind share the last
    place, of which the first one keeps it: none takes that of another transaction.
    """
    if position.height < 0:
        return -1
    tx_index, event_index = min(position.tx_index, 0xFFFF), min(position.event_index, 0xFFFF)
    return position.height << 32 | tx_index << 16 | event_index


def unpack(packed: int) -> EventPosition:
    """Return the position that `pack` packed."""
    if packed < 0:
        return START
    return EventPosition(packed >> 32, packed >> 16 & 0xFFFF, packed & 0xFFFF)


def item_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of an item that `Store` specifies."""
    record = dict(row)
    # The sort keys of lists are internal.
    del record["place"]
    last = record.pop("last_place")
    record["last_event_id"] = None if last is None else str(unpack(last))
    record["client"] = record["client"] or ""
    record["after"] = tuple(json.loads(record["after"]))
    record["created_time"] = record["created_time"] or parse(record["created_at"])
    record["updated_time"] = record["updated_time"] or parse(record["updated_at"])
    return record


def event_row(row: Mapping[str, Any], chain_id: str, contract: str) -> dict[str, Any]:
    """Return the row of an event that `Store` specifies."""
    where, block = unpack(row["place"]), row["block_hash"]
    return {
        "event_id": str(where),
        "cursor": str(where) if block is None else where.cursor(chain_id, contract, block),
        "block_height": where.height,
        "event_name": row["name"],
        "item_id": row["item_id"],
        "kind": row["kind"],
        "requester": row["requester"],
        "client": row["client"] or "",
        "worker": row["worker"],
        "data": json.loads(row["data"]),
        "tx_hash": row["tx_hash"],
        "created_at": row["created_at"],
        "time": row["time"] or parse(row["created_at"]),
    }
