"""Items and events as answers show them: with the times of their blocks, and the contract's own.

The contract's time of what it does is that of the commit before, which may be hours ago; when it
was done is the time of the block.
"""

from collections.abc import Mapping
from typing import Any

from ..times import parse
from .models import EventRecord, ItemRecord


def projected_item(row: Mapping[str, Any]) -> ItemRecord:
    """Return a row of the projection."""
    return item(row, row["created_time"], row["updated_time"])


def event(row: Mapping[str, Any]) -> EventRecord:
    """Return an event of the projection."""
    times = {"created_at": row["time"], "contract_created_at": parse(row["created_at"])}
    return EventRecord.model_validate({**row, **times})


def streamed_event(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event of the projection as the live stream tells it."""
    shown = {name: value for name, value in row.items() if name not in {"cursor", "time"}}
    times = {"created_at": row["time"], "contract_created_at": parse(row["created_at"])}
    return shown | times


def item(record: Mapping[str, Any], created: str, updated: str) -> ItemRecord:
    """Return a record whose blocks were committed at these times."""
    contested = record["contested_at"]
    times = {
        "created_at": created,
        "updated_at": updated,
        "contract_created_at": parse(record["created_at"]),
        "contract_updated_at": parse(record["updated_at"]),
        "contract_contested_at": None if contested is None else parse(contested),
    }
    return ItemRecord.model_validate({**record, **times})
