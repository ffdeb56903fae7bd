"""Items and events as answers show them: with the times of their blocks and the contract's own.

The contract's `now` is when the block before was committed, which may be hours earlier. When
something really happened is the time of its block.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..items import actor_of
from ..times import parse, rfc3339
from .models import EventRecord, ItemRecord, ProjectedItem


def projected_item(row: Mapping[str, Any]) -> ProjectedItem:
    """Return an item of the projection."""
    return ProjectedItem.model_validate(_with_times(row, row["created_time"], row["updated_time"]))


def event(row: Mapping[str, Any]) -> EventRecord:
    """Return an event of the projection."""
    return EventRecord.model_validate(streamed_event(row))


def streamed_event(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event of the projection as the live stream sends it."""
    left_out = {"cursor", "time", "created_at"}
    shown = {name: value for name, value in row.items() if name not in left_out}
    times = {"created": row["time"], "contract_created": parse(row["created_at"])}
    return shown | times | {"actor": actor_of(row["data"])}


def item(record: Mapping[str, Any], created: str | None, updated: str | None) -> ItemRecord:
    """Return a record whose blocks were committed at these times, None where nobody knows them."""
    return ItemRecord.model_validate(_with_times(record, created, updated))


def _with_times(
    record: Mapping[str, Any], created: str | None, updated: str | None
) -> dict[str, Any]:
    archived, not_before = record["archived_record"], record["not_before"]
    shown = {
        "created_at": created,
        "updated_at": updated,
        "contract_created_at": _parsed(record["created_at"]),
        "contract_updated_at": _parsed(record["updated_at"]),
        "contract_contested_at": _parsed(record["contested_at"]),
        "contract_stop_requested_at": _parsed(record["stop_requested_at"]),
        "not_before": rfc3339(datetime.fromtimestamp(not_before, UTC)) if not_before else None,
        "archived_record": None if archived is None else json.loads(archived),
    }
    return {**record, **shown}


def _parsed(contract_time: str | None) -> str | None:
    return parse(contract_time) if contract_time else None
