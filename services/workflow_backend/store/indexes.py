"""The orders of the lists, and the index that each filter scans."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Order:
    """An order of a list of a table's rows.

    `indexes` are those that have it, best first, by the equality columns that precede it in the
    index; None is the primary key.
    """

    table: str
    columns: tuple[str, ...]
    indexes: Mapping[tuple[str, ...], str | None]
    descending: bool = True

    @property
    def name(self) -> str:
        """Its name in cursors."""
        return f"{self.table}.{self.columns[0]}"


ITEMS_NEWEST = Order(
    "items",
    ("place",),
    {
        ("client", "requester", "status"): "items_owner_status",
        ("client", "requester"): "items_owner",
        ("requester", "status"): "items_requester_status",
        ("worker", "status"): "items_worker_status",
        ("kind", "status"): "items_kind_status",
        ("requester",): "items_requester",
        ("worker",): "items_worker",
        ("kind",): "items_kind",
        ("status",): "items_status",
        (): None,
    },
)
ITEMS_CHANGED = Order(
    "items",
    ("last_place",),
    {
        ("client", "requester"): "items_owner_changed",
        ("status",): "items_status_changed",
        (): "items_changed",
    },
)
ITEMS_BY_ID = Order(
    "items",
    ("item_id",),
    {("client", "requester"): "items_owner_id", (): "items_id"},
    descending=False,
)
EVENTS_NEWEST = Order(
    "events",
    ("place",),
    {
        ("item_id",): "events_item",
        ("client", "requester"): "events_owner",
        ("requester",): "events_requester",
        ("worker",): "events_worker",
        ("kind",): "events_kind",
        ("name",): "events_name",
        (): None,
    },
)
