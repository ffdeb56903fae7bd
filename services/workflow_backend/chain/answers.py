"""The answers of `con_job_workflow`: their meaning, and what stands for one that was lost."""

import re
from collections.abc import Sequence
from typing import Any

from ..items import Item, Outcome
from .contract import NO_RULES, Action

_CONTENT = ("payload_uri", "kind", "metadata_ref", "client")
"""What the same submission again has in common with the first, beside its rules."""

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
    "y": "archived: the record of the item has left the state",
    "z": "early: the time before which the item may not be claimed has not come",
    "A": "waiting: an item that this one comes after is not completed",
    "B": "paused: the operator has paused claims of this kind",
    "C": "stopping: a stop of the item was requested",
    "D": "early: the retention of ended items has not passed, or none is set",
    "E": "missing: after names an item that is not there",
    "F": "invalid: priority must be an integer from 0 to 9",
    "G": (
        "invalid: not_before must be an integer from 0 to 253402300799, in seconds since 1970 "
        "in UTC"
    ),
    "H": "invalid: after must be a list of at most 8 item_ids",
}
"""The newest `get_answers`: what each letter of a batch's answer means, as "code: message".

A version only adds letters, so the newest table reads the answers of all.
"""

_OK, _EXISTS, _MISSING, _STALE, _ARCHIVED = "a", "h", "i", "n", "y"

_STATUS_AFTER = {
    "submit": "submitted",
    "claim": "processing",
    "renew": "processing",
    "complete": "completed",
    "fail": "failed",
    "release": "submitted",
    "cancel": "cancelled",
    "retry": "submitted",
    "stop": "cancelled",
    "archive": "archived",
}
STATUSES_BEFORE = {
    "claim": ("submitted",),
    "complete": ("processing",),
    "fail": ("processing",),
    "release": ("processing",),
    "cancel": ("submitted",),
    "retry": ("failed",),
    "stop": ("submitted", "processing"),
    "archive": ("completed", "failed", "cancelled"),
}
"""The statuses that an item may have for an action to take effect.

Beside them, the holder cancels what is processing once it was asked to stop.
"""

_ANSWER = re.compile(r"([A-Za-z])(\d+)")


def outcomes(
    actions: Sequence[Action], receipt: dict[str, Any], tx_hash: str, height: int
) -> list[Outcome] | None:
    """Parse the contract's answer to a batch: a letter and the item's attempt for each entry.

    Records are taken from the state that the receipt lists as written. Returns None if the answer
    has another form or is truncated: a receipt keeps the first 1,024 characters only.
    """
    answers = _ANSWER.findall(receipt["result"])
    if len(answers) != len(actions) or not all(letter in ANSWERS for letter, _ in answers):
        return None
    write_size = {
        entry["key"].partition(".items:")[2]: entry["value"] for entry in receipt["state"]
    }
    return [
        Outcome(
            item_id=action.item_id,
            code=describe(letter)[0],
            message=describe(letter)[1],
            attempt=int(attempt),
            item=Item.from_record(write_size[action.item_id]) if letter == _OK else None,
            tx_hash=tx_hash,
            height=height,
        )
        for action, (letter, attempt) in zip(actions, answers, strict=True)
    ]


def describe(letter: str) -> tuple[str, str]:
    """Return the code and message of an answer; the message of ok is empty."""
    code, _, message = ANSWERS[letter].partition(": ")
    return code, message


EXISTS = describe(_EXISTS)
"""The answer to a submission with an id that is taken."""


def expected_outcome(action: Action, item: Item | None, account: str) -> tuple[str, str] | None:
    """Derive the outcome of an action whose answer was lost from the item's record.

    Returns (code, message), or None if the action took no effect and may be sent again.
    """
    if action.name == "submit":
        return _submit_outcome(action, item, account)
    if item is None:
        return describe(_MISSING)
    if item.attempt != action.entry.get("attempt", item.attempt):
        # A failed item is not claimed again before it is retried.
        return describe(_OK if action.name == "retry" else _STALE)
    contended = action.name == "claim" and item.worker != account
    if action.name == "renew" or contended or _may_take_effect(action, item):
        return None
    if item.status == _STATUS_AFTER[action.name] or _has_stopped(action, item):
        return describe(_OK)
    return _refusal_in(item.status)


def _may_take_effect(action: Action, item: Item) -> bool:
    if item.stop_requested_at is not None and item.status == "processing":
        return action.name in {"cancel", "complete", "fail"}
    return item.status in STATUSES_BEFORE[action.name]


def _has_stopped(action: Action, item: Item) -> bool:
    return action.name == "stop" and item.stop_requested_at is not None


def _refusal_in(status: str) -> tuple[str, str]:
    return describe(_ARCHIVED) if status == "archived" else ("state", f"the item is {status}")


def _submit_outcome(action: Action, item: Item | None, account: str) -> tuple[str, str] | None:
    if item is None:
        return None
    if item.status == "archived":
        return describe(_ARCHIVED)
    submitted = NO_RULES | action.entry
    there = item.as_dict() | {"after": list(item.after)}
    same = all(there[name] == submitted[name] for name in (*_CONTENT, *NO_RULES))
    return describe(_OK if same and item.requester == account else _EXISTS)
