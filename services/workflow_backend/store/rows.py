"""Rows as the database keeps them and as readers get them."""

import json
from collections.abc import Mapping
from typing import Any

from ..items import START, Place
from ..times import parse


def pack(place: Place) -> int:
    """Return a place as one integer that sorts as places do."""
    if place.height < 0:
        return -1
    return place.height << 32 | place.tx_index << 16 | place.event_index


def unpack(place: int) -> Place:
    """Return the place that `pack` packed."""
    if place < 0:
        return START
    return Place(place >> 32, place >> 16 & 0xFFFF, place & 0xFFFF)


def shown_item(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of an item as `Store` promises it."""
    record = dict(row)
    # Where the item stands in a list is the store's own affair.
    del record["place"], record["last_place"]
    record["client"] = record["client"] or ""
    record["created_time"] = record["created_time"] or parse(record["created_at"])
    record["updated_time"] = record["updated_time"] or parse(record["updated_at"])
    return record


def shown_event(row: Mapping[str, Any], chain_id: str, contract: str) -> dict[str, Any]:
    """Return the row of an event as `Store` promises it."""
    where, block = unpack(row["place"]), row["block_hash"]
    return {
        "id": str(where),
        "cursor": str(where) if block is None else where.cursor(chain_id, contract, block),
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
        "time": row["time"] or parse(row["created_at"]),
    }
