"""The calls and events of `con_job_workflow`, and how its answers read."""

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import TransactionFailed
from ..items import Item, Outcome

ITEM_EVENTS = ("ItemSubmitted", "ItemClaimed", "ItemCompleted", "ItemFailed", "ItemCancelled")
"""The events that tell what happened to an item."""

BATCH_FUNCTION = "apply_items"
"""The function that takes a list of actions and answers an outcome for each."""

BATCH_ENTRIES = 200
"""The most actions that the contract takes in one call."""

BATCH_BYTES = 96 * 1024
"""The most bytes that one call may write: the VM stops at 131,072, the rest is head-room."""

RECORD_BYTES = 480
"""What a record's key, field names and fixed-size fields take, in bytes."""


@dataclass(frozen=True, slots=True)
class Action:
    """One entry for the contract's batch, and the bytes of the record that it will write."""

    entry: dict[str, Any]
    written: int

    @property
    def name(self) -> str:
        """What is to be done: submit, claim, complete, fail, cancel, retry, renew or release."""
        return str(self.entry["action"])

    @property
    def item_id(self) -> str:
        """The item that it is done to."""
        return str(self.entry["item_id"])


def submit(item_id: str, payload_uri: str, kind: str, metadata_ref: str) -> Action:
    """Submit a new item."""
    entry = {
        "action": "submit",
        "item_id": item_id,
        "payload_uri": payload_uri,
        "kind": kind,
        "metadata_ref": metadata_ref,
    }
    return Action(entry, RECORD_BYTES + _size(entry))


def claim(item: Item, lease_seconds: int) -> Action:
    """Claim an item, or contend for one whose lease may have passed."""
    return _on(item, "claim", lease_seconds=lease_seconds)


def complete(item: Item, result_uri: str) -> Action:
    """Report that the item's current attempt succeeded."""
    return _on(item, "complete", result_uri=result_uri, attempt=item.attempt)


def fail(item: Item, reason: str) -> Action:
    """Report that the item's current attempt failed for good."""
    return _on(item, "fail", reason=reason, attempt=item.attempt)


def renew(item: Item) -> Action:
    """Begin the current attempt's lease anew, with the same length."""
    return _on(item, "renew", attempt=item.attempt, lease_seconds=item.lease_seconds)


def release(item: Item) -> Action:
    """Give the item back for others to claim."""
    return _on(item, "release", attempt=item.attempt)


def cancel(item: Item, reason: str) -> Action:
    """Cancel a submitted item."""
    return _on(item, "cancel", reason=reason)


def retry(item: Item) -> Action:
    """Make a failed item claimable again."""
    return _on(item, "retry")


def _on(item: Item, action: str, **fields: Any) -> Action:
    entry = {"action": action, "item_id": item.item_id, **fields}
    return Action(entry, RECORD_BYTES + _size(item.as_dict()) + _size(entry))


def _size(value: dict[str, Any]) -> int:
    return sum(len(part) for part in value.values() if isinstance(part, str))


def encoded_size(action: Action) -> int:
    """Return the bytes that the action takes in a transaction's JSON."""
    return len(json.dumps(action.entry, separators=(",", ":"))) + 1


def outcomes(result: str, tx_hash: str, height: int) -> list[Outcome]:
    """Read the contract's answer to a batch; raises TransactionFailed where it is no such answer.

    The receipt carries the answer as the text of a Python literal.
    """
    try:
        rows = ast.literal_eval(result)
        return [Outcome(**row, tx_hash=tx_hash, height=height) for row in rows]
    except (ValueError, SyntaxError, TypeError) as error:
        raise TransactionFailed(
            f"transaction {tx_hash} answers in an unknown form",
            hint="the contract on the chain is another version than this package was written for",
        ) from error


def effect(action: Action, item: Item | None, account: str) -> tuple[str, str] | None:
    """Judge by the record what became of an action whose transaction can't be found.

    Returns (code, message), or None where the action had no effect and may be sent anew.
    """
    entry = action.entry
    match action.name, item:
        case "submit", None:
            return None
        case "submit", Item():
            same = item.requester == account and all(
                getattr(item, name) == entry[name]
                for name in ("payload_uri", "kind", "metadata_ref")
            )
            return ("ok", "") if same else ("exists", "item exists already")
        case _, None:
            return "missing", "no such item"
        case "cancel", Item(status="cancelled"):
            return "ok", ""
        case "cancel", Item(status="submitted"):
            return None
        case "retry", Item(status="failed"):
            return None
        case "retry", Item(status="submitted"):
            return "ok", ""
        case "claim", Item(status="processing", worker=worker) if worker == account:
            return "ok", ""
        case "claim", Item(status="submitted"):
            return None
        case ("complete" | "fail" | "renew" | "release"), Item():
            return _report_effect(action, item, account)
    return "state", f"item is {item.status}" if item else "no such item"


def _report_effect(action: Action, item: Item, account: str) -> tuple[str, str] | None:
    if item.attempt != action.entry["attempt"]:
        return "stale", "another attempt has begun"
    if item.status == "processing" and item.worker == account:
        return None
    done = {"complete": "completed", "fail": "failed", "release": "submitted"}.get(action.name)
    if item.status == done:
        return "ok", ""
    return "state", f"item is {item.status}"


def group(actions: Sequence[Action]) -> int:
    """Return how many of the actions, from the first, fit into one transaction (at least one)."""
    written = encoded = 0
    for count, action in enumerate(actions[:BATCH_ENTRIES]):
        written += action.written
        encoded += encoded_size(action)
        if count and (written > BATCH_BYTES or encoded > BATCH_BYTES):
            return count
    return min(len(actions), BATCH_ENTRIES)
