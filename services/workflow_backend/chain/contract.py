"""The actions and events of `con_job_workflow`, in all its versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..items import DEFAULT_PRIORITY, Item
from .write_size import LARGEST_CLAIM_BYTES, STOP_BYTES, write_size

ITEM_EVENTS = (
    "ItemSubmitted",
    "ItemClaimed",
    "ItemCompleted",
    "ItemFailed",
    "ItemCancelled",
    "ItemStopRequested",
    "ItemArchived",
)
"""The events about items; an earlier version of the contract has no stop and no archive."""

BATCH_FUNCTION = "apply_items"
"""The function that takes a list of actions and answers each of them."""

BATCH_ENTRIES = 128
"""Actions that the contract takes in one call at most."""


NO_RULES: dict[str, Any] = {"priority": DEFAULT_PRIORITY, "not_before": 0, "after": []}
"""What a submission without rules has."""


@dataclass(frozen=True, slots=True)
class Action:
    """One entry of a batch; `write_size` is how many bytes it writes at most."""

    entry: dict[str, Any]
    write_size: int

    @property
    def name(self) -> str:
        """The verb, such as submit, claim or complete."""
        return str(self.entry["action"])

    @property
    def item_id(self) -> str:
        """The item that the action is about."""
        return str(self.entry["item_id"])


def submit(
    item_id: str,
    payload_uri: str,
    kind: str,
    metadata_ref: str,
    client: str = "",
    *,
    priority: int = DEFAULT_PRIORITY,
    not_before: int = 0,
    after: Sequence[str] = (),
) -> Action:
    """Submit a new item on behalf of `client`; `not_before` is in seconds since 1970, 0 for now."""
    entry = {
        "action": "submit",
        "item_id": item_id,
        "payload_uri": payload_uri,
        "kind": kind,
        "metadata_ref": metadata_ref,
        "client": client,
    }
    # Left out where they say nothing: the first version of the contract does not know them.
    rules: dict[str, Any] = {"priority": priority, "not_before": not_before, "after": list(after)}
    entry |= {name: value for name, value in rules.items() if value != NO_RULES[name]}
    return Action(entry, write_size(entry, None))


def claim(item: Item, lease_seconds: int) -> Action:
    """Claim an item, or contend for one whose lease may have passed."""
    return _on(item, "claim", lease_seconds=lease_seconds)


def claim_optimistically(item_id: str, lease_seconds: int) -> Action:
    """Claim an item without having read its record, which may be of any size."""
    entry = {"action": "claim", "item_id": item_id, "lease_seconds": lease_seconds}
    return Action(entry, LARGEST_CLAIM_BYTES)


def complete(item: Item, result_uri: str) -> Action:
    """Report that the item's current attempt succeeded."""
    return _on(item, "complete", result_uri=result_uri, attempt=item.attempt)


def fail(item: Item, reason: str) -> Action:
    """Report that the item's current attempt failed permanently."""
    return _on(item, "fail", reason=reason, attempt=item.attempt)


def renew(item: Item) -> Action:
    """Restart the lease of the current attempt, with the same length."""
    return _on(item, "renew", attempt=item.attempt, lease_seconds=item.lease_seconds)


def release(item: Item) -> Action:
    """Give the item back for others to claim."""
    return _on(item, "release", attempt=item.attempt)


def cancel(item: Item, reason: str) -> Action:
    """Cancel a submitted item."""
    return _on(item, "cancel", reason=reason)


def retry(item: Item) -> Action:
    """Make a failed item claimable again."""
    # The contract ignores the attempt. It shows whether a lost retry took effect: an item that has
    # failed again since must not be retried twice.
    return _on(item, "retry", attempt=item.attempt)


def stop(item: Item, reason: str) -> Action:
    """Ask the holder to stop; a submitted item is cancelled at once."""
    return _on(item, "stop", reason=reason)


def end_stopped(item: Item, reason: str) -> Action:
    """Cancel the item's current attempt, whose holder was asked to stop."""
    action = _on(item, "cancel", reason=reason, attempt=item.attempt)
    # The item may have been read before the stop.
    return Action(action.entry, action.write_size + STOP_BYTES)


def archive(item: Item) -> Action:
    """Take the record of an item that has ended out of the state, once its retention has passed."""
    return _on(item, "archive")


def required_capabilities(action: Action) -> set[str]:
    """Return what a contract needs for the action beyond its first version."""
    return {"stop", "archive"} & {action.name} | NO_RULES.keys() & action.entry.keys()


def _on(item: Item, action: str, **fields: Any) -> Action:
    entry = {"action": action, "item_id": item.item_id, **fields}
    return Action(entry, write_size(entry, item))
