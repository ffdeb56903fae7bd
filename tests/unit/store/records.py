"""Items, events and pages for the tests of the store."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from workflow_backend.chain.events import Cursor
from workflow_backend.items import START, Event, Item, Place
from workflow_backend.store.base import Change

CHAIN, CONTRACT = "chain-1", "con_job_workflow"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def at(height: int) -> datetime:
    """The time of a block."""
    return EPOCH + timedelta(seconds=height)


def text(height: int) -> str:
    return str(at(height).replace(tzinfo=None))


def item(item_id: str, height: int = 1, status: str = "submitted", **fields: Any) -> Item:
    """An item that was submitted and last changed in a block."""
    record: dict[str, Any] = {
        "item_id": item_id,
        "requester": "a" * 64,
        "kind": "job",
        "payload_uri": "x",
        "metadata_ref": "",
        "client": "",
        "status": status,
        "worker": "",
        "result_uri": "",
        "failure_reason": "",
        "created_at": text(height),
        "updated_at": text(height),
        "attempt": 0,
        "lease_seconds": 0,
        "contested_at": None,
    }
    return Item(**(record | fields))


def event(
    height: int, item_id: str, name: str = "ItemSubmitted", tx: int = 1, **data: Any
) -> Event:
    return Event(
        Place(height, tx, 2), name, {"item_id": item_id, **data}, "AB", text(height), height
    )


def change(since: Place, events: Sequence[Event], items: Sequence[Item], height: int = 0) -> Change:
    """A page behind a place."""
    place = events[-1].place if events else since
    seen = {each.name: (each.index_id, each.place) for each in events}
    return Change(since, events, items, Cursor(place, seen), max(height, place.height))


def first_page(*events: Event, items: Sequence[Item]) -> Change:
    """A page at the beginning."""
    return change(START, events, items)
