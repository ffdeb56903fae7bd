"""How many bytes an action writes, as the VM counts them.

It counts each record with its key as they are stored, and of an event the fields' names and values,
both as JSON: a text that an event repeats counts twice, and `"` and `\\` are two bytes each. What
is not known before the block comes is taken as long as it may be, so this is never too low.
"""

import json
from typing import Any

from ..items import Item

LIMIT = 131_071
"""The most bytes that one transaction may write."""

_ACCOUNT = "0" * 64
_TIME = "2026-01-01 00:00:00.000000"
_KEY_BYTES = 64 + len(".items:")
"""What stands before the item's id in its key: the contract's name has 64 characters at most."""

_EVENTS = {
    "submit": ("item_id", "kind", "requester"),
    "claim": ("item_id", "worker", "requester"),
    "complete": ("item_id", "worker", "result_uri"),
    "fail": ("item_id", "worker", "reason"),
    "cancel": ("item_id", "actor", "reason"),
    "release": ("item_id", "kind", "requester"),
    "retry": ("item_id", "kind", "requester"),
    "renew": (),
}

_NEW: dict[str, Any] = dict.fromkeys(Item.__slots__, "") | {
    "requester": _ACCOUNT,
    "created_at": _TIME,
    "attempt": 0,
    "lease_seconds": 0,
}


def written(entry: dict[str, Any], item: Item | None) -> int:
    """Return the bytes that an entry of a batch writes at most; `item` is the record before it."""
    record: dict[str, Any] = dict(_NEW) if item is None else item.as_dict()
    record |= {name: value for name, value in entry.items() if name in record}
    record |= {"status": "processing", "updated_at": _TIME, "contested_at": None}
    if entry["action"] == "claim":
        record |= {"worker": _ACCOUNT, "attempt": record["attempt"] + 1}
    record["failure_reason"] = entry.get("reason", "")
    told = record | {"actor": _ACCOUNT, "reason": record["failure_reason"]}
    event = sum(len(name) + len(_json(told[name])) for name in _EVENTS[entry["action"]])
    return _KEY_BYTES + len(record["item_id"]) + len(_json(record)) + event


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _largest_claim() -> int:
    texts = {"kind": "k" * 64, "client": "c" * 64}
    texts |= dict.fromkeys(("payload_uri", "metadata_ref"), '"' * 1024)
    record = _NEW | texts | {"item_id": "i" * 128, "attempt": 10**9}
    entry = {"action": "claim", "item_id": record["item_id"], "lease_seconds": 86_400}
    return written(entry, Item.from_record(record))


LARGEST_CLAIM = _largest_claim()
"""What the claim of an item writes at most, whatever its texts are."""
