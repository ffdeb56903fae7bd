"""The number of bytes that an action writes, as the VM counts them.

The VM counts each stored record with its key, and the names and values of an event's fields, all as
JSON. So a text that an event repeats counts twice, and `"` and `\\` are two bytes each. Values that
are unknown before the block count at their largest, so the result is an upper bound.
"""

import json
from dataclasses import MISSING, fields
from typing import Any

from ..items import Item

MAX_WRITE_BYTES = 131_071
"""The most bytes that one transaction may write: the VM refuses it from 131,072 on."""

_ACCOUNT = "0" * 64
_TIME = "2026-01-01 00:00:00.000000"
_DIGEST = "0" * 64
_MOST_WRITES = 10**9
_KEY_BYTES = 64 + len(".items:")
"""The key before the item's id: the name of a contract has 64 characters at most."""

_SUBMITTED = ("item_id", "kind", "requester", "client", "priority")
_EVENTS = {
    "submit": _SUBMITTED,
    "claim": ("item_id", "worker", "requester"),
    "complete": ("item_id", "worker", "result_uri"),
    "fail": ("item_id", "worker", "reason"),
    "cancel": ("item_id", "actor", "reason"),
    "release": _SUBMITTED,
    "retry": _SUBMITTED,
    "stop": ("item_id", "actor", "reason"),
    "archive": ("item_id", "actor", "ended", "digest"),
    "renew": (),
}

_DEFAULTS = {field.name: field.default for field in fields(Item) if field.default is not MISSING}
"""Fields that a record leaves out where they have these values."""

_NEW: dict[str, Any] = dict.fromkeys(Item.__slots__, "") | {
    "requester": _ACCOUNT,
    "created_at": _TIME,
    "attempt": 0,
    "lease_seconds": 0,
    **_DEFAULTS,
}


def write_size(entry: dict[str, Any], item: Item | None) -> int:
    """Return an upper bound of the bytes that an entry writes; `item` is the record before it."""
    record: dict[str, Any] = dict(_NEW) if item is None else item.as_dict()
    record |= {name: value for name, value in entry.items() if name in record}
    record |= {"status": "processing", "updated_at": _TIME, "contested_at": None}
    record["revision"] = _MOST_WRITES
    if entry["action"] == "claim":
        record |= {"worker": _ACCOUNT, "attempt": record["attempt"] + 1}
    reason = entry.get("reason") or record["stop_reason"] or ""
    record["failure_reason"] = reason
    if entry["action"] == "stop":
        record |= {"stop_requested_at": _TIME, "stop_requested_by": _ACCOUNT, "stop_reason": reason}
    complete = record | {
        "actor": _ACCOUNT,
        "reason": reason,
        "ended": "cancelled",
        "digest": _DIGEST,
    }
    events = [entry["action"]]
    if record["stop_requested_at"] is not None:
        events.append("cancel")  # a claim may end it
    event = max(
        sum(len(name) + len(_json(complete[name])) for name in _EVENTS[action]) for action in events
    )
    stored = {
        name: value
        for name, value in record.items()
        if name not in _DEFAULTS or value != _DEFAULTS[name]
    }
    return _KEY_BYTES + len(record["item_id"]) + len(_json(stored)) + event


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _largest_claim() -> int:
    texts = {"kind": "k" * 64, "client": "c" * 64}
    texts |= dict.fromkeys(("payload_uri", "metadata_ref"), '"' * 1024)
    record = _NEW | texts | {"item_id": "i" * 128, "attempt": 10**9, "status": "submitted"}
    record |= {"priority": 0, "not_before": 253_402_300_799, "after": ("i" * 128,) * 8}
    entry = {"action": "claim", "item_id": record["item_id"], "lease_seconds": 86_400}
    return write_size(entry, Item.from_record(record))


STOP_BYTES = 4 * 1024
"""Upper bound of what a stop adds to a record that was read before it, and to its event."""

LARGEST_CLAIM_BYTES = _largest_claim()
"""Upper bound of the bytes that the claim of any item writes."""
