"""The items of the projection and of the chain side by side, and how two of them differ."""

from collections.abc import AsyncGenerator
from typing import Any

from ..chain.node import Node
from ..items import TOMBSTONE, Item
from ..store.archived_items import is_proven
from ..store.base import ItemFilter, Store

PAGE = 200
EVENTLESS_FIELDS = frozenset({"updated_at", "lease_seconds", "contested_at", "revision"})
"""Fields of a claimed item that change without an event: by renewals and contenders."""

type Row = dict[str, Any]


async def paired_pages(node: Node, store: Store) -> AsyncGenerator[dict[str, Row | None]]:
    """Yield pages of rows by item id, over all items of the chain or the projection in id order.

    A row is None if only the chain has the item.
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


def item_difference(item: Item | None, row: Row | None) -> dict[str, Row | None] | None:
    """Return the differing fields of chain and projection; None if there is no difference."""
    if item is None or row is None:
        if item is None and row is None:
            return None
        return {"chain": item.as_dict() if item else None, "projection": row}
    record = item.as_dict()
    if item.status == "archived":
        record = {name: record[name] for name in TOMBSTONE}
        if not is_proven(item, row["archived_record"]):
            return {"chain": record, "projection": {"archived_record": row["archived_record"]}}
    eventless = EVENTLESS_FIELDS if item.status == row["status"] == "processing" else frozenset()
    names = [name for name in record if name not in eventless and record[name] != row[name]]
    if not names:
        return None
    return {
        "chain": {name: record[name] for name in names},
        "projection": {name: row[name] for name in names},
    }
