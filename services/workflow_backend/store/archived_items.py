"""Archived items as a whole: of each, the chain's state keeps only the digest of its record."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..chain.node import Node
from ..errors import ForeignRecord
from ..items import TOMBSTONE, Item, record_digest


async def restore_archived(node: Node, item: Item, row: Mapping[str, Any] | None) -> Item:
    """Return an archived item with the record that it last had; any other item as it is.

    The index's history has the record, and the digest proves it. Where the index has only earlier
    ones, the newest of them stands for it, else what the projection's row has; the digest proves
    nothing of these. Raises IndexUnavailable.
    """
    if item.status != "archived":
        return item
    kept: dict[str, Any] = {name: getattr(item, name) for name in TOMBSTONE}
    records = [
        (record, whole)
        for record in await node.newest_records(item.item_id)
        if (whole := _item_in(record)) is not None
    ]
    for record, whole in records:
        if record_digest(record) == item.digest:
            text = json.dumps(record, sort_keys=True)
            return replace(whole, **kept, archived_record=text)
    for _, whole in records:
        if whole.status != "archived":
            return replace(whole, **kept)
    return item if row is None else replace(item_of(row), **kept)


def _item_in(record: Mapping[str, Any]) -> Item | None:
    """Return the item of a record, None where it is none: the digest does not tell types apart."""
    try:
        return Item.from_record(record)
    except ForeignRecord:
        return None


def item_of(row: Mapping[str, Any]) -> Item:
    """Return the item that a row of the projection has."""
    return Item(**{name: row[name] for name in Item.__slots__})


def is_proven(item: Item, archived_record: str | None) -> bool:
    """Tell whether a record, as JSON, is the one that was archived; None proves nothing wrong."""
    return archived_record is None or record_digest(json.loads(archived_record)) == item.digest
