"""The projection's items beside the chain's: both by the alphabet, and how two of them differ."""

from collections.abc import AsyncGenerator
from typing import Any

from ..chain.node import Node
from ..items import Item
from ..store.base import ItemFilter, Store

PAGE = 200
UNTOLD = frozenset({"updated_at", "lease_seconds", "contested_at"})
"""What renewals and contenders change in an item that is held, without an event."""

type Row = dict[str, Any]


async def pages(node: Node, store: Store) -> AsyncGenerator[dict[str, Row | None]]:
    """Yield the rows of all items that are on the chain or in the projection, by their ids.

    A row is None where only the chain has the item.
    """
    rows = _projected(store)
    row = await anext(rows, None)
    after, more = "", True
    while more:
        ids, more = await node.item_ids(after, PAGE)
        projected: dict[str, Row | None] = dict.fromkeys(ids)
        while row is not None and (not more or row["item_id"] <= ids[-1]):
            projected[row["item_id"]] = row
            row = await anext(rows, None)
        yield projected
        after = ids[-1] if ids else after


async def _projected(store: Store) -> AsyncGenerator[Row]:
    cursor: str | None = None
    while True:
        page = await store.items(ItemFilter(id_prefix=""), PAGE, cursor)
        for row in page.rows:
            yield row
        cursor = page.next_cursor
        if cursor is None:
            return


def difference(item: Item | None, row: Row | None) -> dict[str, Row | None] | None:
    """Return what chain and projection each have, where they differ; None where they do not."""
    if item is None or row is None:
        if item is None and row is None:
            return None
        return {"chain": item.as_dict() if item else None, "projection": row}
    record = item.as_dict()
    untold = UNTOLD if item.status == row["status"] == "processing" else frozenset()
    names = [name for name in record if name not in untold and record[name] != row[name]]
    if not names:
        return None
    return {
        "chain": {name: record[name] for name in names},
        "projection": {name: row[name] for name in names},
    }
