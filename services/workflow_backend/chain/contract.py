"""The calls and events of `con_job_workflow`, and how its answers read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..items import Item, Outcome
from .written import LARGEST_CLAIM, written

ITEM_EVENTS = ("ItemSubmitted", "ItemClaimed", "ItemCompleted", "ItemFailed", "ItemCancelled")
"""The events that tell what happened to an item."""

BATCH_FUNCTION = "apply_items"
"""The function that takes a list of actions and answers an outcome for each."""

BATCH_ENTRIES = 128
"""The most actions that the contract takes in one call."""


@dataclass(frozen=True, slots=True)
class Action:
    """One entry for the contract's batch, and the bytes that it writes at most."""

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


def submit(
    item_id: str, payload_uri: str, kind: str, metadata_ref: str, client: str = ""
) -> Action:
    """Submit a new item; `client` is for whom."""
    entry = {
        "action": "submit",
        "item_id": item_id,
        "payload_uri": payload_uri,
        "kind": kind,
        "metadata_ref": metadata_ref,
        "client": client,
    }
    return Action(entry, written(entry, None))


def claim(item: Item, lease_seconds: int) -> Action:
    """Claim an item, or contend for one whose lease may have passed."""
    return _on(item, "claim", lease_seconds=lease_seconds)


def claim_unread(item_id: str, lease_seconds: int) -> Action:
    """Claim an item whose record was not read, and may be as large as any."""
    entry = {"action": "claim", "item_id": item_id, "lease_seconds": lease_seconds}
    return Action(entry, LARGEST_CLAIM)


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
    # The contract asks for no attempt here. It tells a lost one that had its effect from one that
    # had none: an item that has failed again since must not be retried twice.
    return _on(item, "retry", attempt=item.attempt)


def _on(item: Item, action: str, **fields: Any) -> Action:
    entry = {"action": action, "item_id": item.item_id, **fields}
    return Action(entry, written(entry, item))


ANSWERS = {
    "a": "ok",
    "b": "state: the item is submitted",
    "c": "state: the item is processing",
    "d": "state: the item is completed",
    "e": "state: the item is failed",
    "f": "state: the item is cancelled",
    "g": "state: this worker holds the item already",
    "h": "exists: there is an item with this item_id",
    "i": "missing: there is no item with this item_id",
    "j": "forbidden: only workers may do this",
    "k": "forbidden: only the worker that holds the item may do this",
    "l": "forbidden: only the requester, its agents and the operator may do this",
    "m": "leased: another worker holds the item and its lease has not passed",
    "n": "stale: the attempt is not the current one of the item",
    "o": "invalid: an entry is a dict with an item_id and, for apply_items, an action",
    "p": "invalid: item_id must be 1 to 128 of the characters A-Z a-z 0-9 _ -",
    "q": "invalid: kind must be at most 64 of the characters A-Z a-z 0-9 _ -",
    "r": "invalid: payload_uri must be at most 1024 printable ASCII characters",
    "s": "invalid: metadata_ref must be at most 1024 printable ASCII characters",
    "t": "invalid: result_uri must be at most 1024 printable ASCII characters",
    "u": "invalid: reason must be at most 512 printable ASCII characters",
    "v": "invalid: attempt must be an integer from 0 to 1000000000",
    "w": "invalid: lease_seconds must be 0 or an integer from 5 to 86400",
    "x": "invalid: client must be at most 64 of the characters A-Z a-z 0-9 _ -",
}
"""The contract's `get_answers`: what each letter of a batch's answer means, as "code: message"."""

_OK, _EXISTS, _MISSING, _STALE = "a", "h", "i", "n"

_STATUS_AFTER = {
    "submit": "submitted",
    "claim": "processing",
    "renew": "processing",
    "complete": "completed",
    "fail": "failed",
    "release": "submitted",
    "cancel": "cancelled",
    "retry": "submitted",
}
STATUS_BEFORE = {
    "claim": "submitted",
    "complete": "processing",
    "fail": "processing",
    "release": "processing",
    "cancel": "submitted",
    "retry": "failed",
}
"""The status that an item must have for an action to have its effect."""

_ANSWER = re.compile(r"([a-z])(\d+)")


def outcomes(
    actions: Sequence[Action], receipt: dict[str, Any], tx_hash: str, height: int
) -> list[Outcome] | None:
    """Read the contract's answer to a batch: a letter and the item's attempt for each entry.

    The records come from what the receipt says was written. Returns None where the answer is cut
    off or of another form: a receipt keeps the first 1,024 characters only.
    """
    answers = _ANSWER.findall(receipt["result"])
    if len(answers) != len(actions) or not all(letter in ANSWERS for letter, _ in answers):
        return None
    written = {entry["key"].partition(".items:")[2]: entry["value"] for entry in receipt["state"]}
    return [
        Outcome(
            item_id=action.item_id,
            code=meaning(letter)[0],
            message=meaning(letter)[1],
            attempt=int(attempt),
            item=Item.from_record(written[action.item_id]) if letter == _OK else None,
            tx_hash=tx_hash,
            height=height,
        )
        for action, (letter, attempt) in zip(actions, answers, strict=True)
    ]


def meaning(letter: str) -> tuple[str, str]:
    """Return an answer's code and message; the message of ok is empty."""
    code, _, message = ANSWERS[letter].partition(": ")
    return code, message


EXISTS = meaning(_EXISTS)
"""The answer to a submission whose id is taken."""


def effect(action: Action, item: Item | None, account: str) -> tuple[str, str] | None:
    """Judge by the record what became of an action whose answer can't be had.

    Returns (code, message), or None where the action had no effect and may be sent anew.
    """
    if action.name == "submit":
        return _submit_effect(action, item, account)
    if item is None:
        return meaning(_MISSING)
    if item.attempt != action.entry.get("attempt", item.attempt):
        # A failed item is not claimed again before it is retried.
        return meaning(_OK if action.name == "retry" else _STALE)
    contended = action.name == "claim" and item.worker != account
    if action.name == "renew" or contended or item.status == STATUS_BEFORE[action.name]:
        return None
    if item.status == _STATUS_AFTER[action.name]:
        return meaning(_OK)
    return "state", f"the item is {item.status}"


def _submit_effect(action: Action, item: Item | None, account: str) -> tuple[str, str] | None:
    if item is None:
        return None
    fields = ("payload_uri", "kind", "metadata_ref", "client")
    same = all(getattr(item, name) == action.entry[name] for name in fields)
    return meaning(_OK if same and item.requester == account else _EXISTS)
