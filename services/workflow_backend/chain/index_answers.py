"""The index's answers: where it is, and its events."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..errors import NodeUnavailable
from ..items import DEFAULT_PRIORITY, Event, EventPosition


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The status of an index; all but `height` count blocks.

    `lag` are blocks that the index lacks at its end and `holes` those that it lacks before, `ahead`
    are blocks that the node does not have. `block_count` includes the genesis.
    """

    height: int
    lag: int
    spooled: int
    healthy: bool
    problem: str
    ahead: int = 0
    holes: int = 0
    block_count: int = 0


@dataclass(frozen=True, slots=True)
class RecentEvents:
    """The newest events of an index: the contract's, in order, and the positions of all `rows`.

    They are complete after the position `since`.
    """

    events: list[Event]
    rows: list[EventPosition]
    since: EventPosition


_TEXTS = {
    "ItemSubmitted": ("item_id", "kind", "requester"),
    "ItemClaimed": ("item_id", "worker"),
    "ItemCompleted": ("item_id",),
    "ItemFailed": ("item_id",),
    "ItemCancelled": ("item_id",),
    "ItemStopRequested": ("item_id",),
    "ItemArchived": ("item_id",),
}
"""Fields that the services go by, of each event about items."""


def events_from(rows: list[dict[str, Any]]) -> list[Event]:
    """Return the events of rows of the index; raises NodeUnavailable for rows of another form."""
    try:
        # The fields of each event are JSON texts: the texts of a page are parsed at once.
        parts = [row[name] or "{}" for row in rows for name in ("data_indexed", "data")]
        fields = json.loads(f"[{','.join(parts)}]")
        events = [
            Event(
                position=EventPosition(row["block_height"], row["tx_index"], row["event_index"]),
                name=row["event"],
                data=(indexed or {}) | (others or {}),
                tx_hash=row["tx_hash"],
                created_at=_contract_time(row["created_at"]),
                index_id=row["id"],
            )
            for row, indexed, others in zip(rows, fields[::2], fields[1::2], strict=True)
        ]
        for event in events:
            _require_form(event)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise NodeUnavailable(
            f"the index returned an event of an unknown form: {error!r}"
        ) from error
    return events


def _require_form(event: Event) -> None:
    """Raise LookupError or TypeError for an event that the contract can't have emitted.

    The index may be a copy of somebody else's.
    """
    data = event.data
    if not (
        {int} >= {*map(type, event.position), type(event.index_id)}
        and {str} >= {type(data[name]) for name in _TEXTS.get(event.name, ())}
        and type(event.tx_hash) is str
        and (event.name != "ItemSubmitted" or data.get("priority", DEFAULT_PRIORITY) in range(10))
    ):
        raise TypeError(event.name)


def _contract_time(text: str) -> str:
    # The index writes times with an offset, the contract as str(now): the project has one form.
    return str(datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None))
