"""Items, events and pages for the tests of the store."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from workflow_backend.chain.events import Cursor
from workflow_backend.items import START, Block, Event, EventPosition, Item
from workflow_backend.store.base import Change
from workflow_backend.times import rfc3339

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
        EventPosition(height, tx, 2), name, {"item_id": item_id, **data}, "AB", text(height), height
    )


def block(height: int) -> Block:
    """A block that was committed a second after its contract's time, as `at` of the next tells."""
    return Block(height, f"{height:064X}", rfc3339(at(height)), rfc3339(at(height + 1)))


def change(
    since: EventPosition, events: Sequence[Event], items: Sequence[Item], height: int = 0
) -> Change:
    """A page behind a position."""
    position = events[-1].position if events else since
    seen = {each.name: (each.index_id, each.position) for each in events}
    blocks = {each.position.height: block(each.position.height) for each in events}
    height = max(height, position.height)
    return Change(since, events, items, Cursor(position, seen), height, blocks)


def first_page(*events: Event, items: Sequence[Item]) -> Change:
    """A page at the beginning."""
    return change(START, events, items)
