"""A job, what a handler may answer to it, and how an answer is judged."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, NamedTuple, Protocol

from .public_text import MAX_REASON, describe, is_printable, public, text_of

MAX_RESULT = 1024
"""The longest result URI that the contract takes, in characters."""

LONGEST_WAIT = 3600.0
"""Seconds that a handler may ask to wait until the next try, at most."""

type Outcome = Literal["completed", "failed", "retry", "interrupted"]


class Answer(NamedTuple):
    """The outcome of one try.

    `text` is the result's URI if the try completed, else the reason. After `failed` there is no
    further try; after `retry` there may be one, in `after` seconds at the earliest. `interrupted`
    says nothing about the item: the try was ended from outside and does not count.
    """

    outcome: Outcome
    text: str
    after: float | None = None


class Fail(Exception):
    """Raised by a handler: the item fails, for the reason given."""


class Retry(Exception):
    """Raised by a handler: try again, after `after` (seconds or a timedelta) at the earliest."""

    def __init__(self, reason: str, after: float | timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


@dataclass(frozen=True, slots=True)
class Job:
    """One try at one item.

    `item` is the contract's record. `attempt` counts the item's claims, `number` this worker's
    tries, both from 1. `idempotency_key` is the same for every try, claim and worker of an item, so
    that a service that is asked twice can recognise it. `progress` takes a short text for people.
    """

    item: dict[str, Any]
    attempt: int
    number: int
    idempotency_key: str
    progress: Callable[[str], None] = field(default=lambda _: None, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object that the handlers' process, a command and a URL receive."""
        return {
            "item": self.item,
            "attempt": self.attempt,
            "try": self.number,
            "idempotency_key": self.idempotency_key,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any], progress: Callable[[str], None]) -> Job:
        """Build a job from what `as_dict` gave."""
        return cls(
            value["item"], value["attempt"], value["try"], value["idempotency_key"], progress
        )


class Handler(Protocol):
    """Does the work of a kind."""

    async def start(self) -> None:
        """Prepare for jobs; raises WorkflowError where that fails."""

    async def run(self, job: Job) -> Answer:
        """Make one try; when cancelled, end whatever was begun."""

    async def close(self) -> None:
        """Leave nothing running."""


class Echo:
    """Completes each item with its own payload as the result."""

    async def start(self) -> None:
        """Need no preparation."""

    async def run(self, job: Job) -> Answer:
        """Answer at once."""
        return Answer("completed", job.item["payload_uri"])

    async def close(self) -> None:
        """Leave nothing running: nothing was begun."""


def completed(result: object) -> Answer:
    """Judge a handler's result: None, a URI, or a dict with `result_uri`."""
    if isinstance(result, dict):
        result = result.get("result_uri")
    uri = "" if result is None else result
    if not isinstance(uri, str):
        return Answer("failed", "the handler's result_uri is not a text")
    if len(uri) > MAX_RESULT or not is_printable(uri):
        return Answer(
            "failed", f"the handler's result_uri is not {MAX_RESULT} printable ASCII characters"
        )
    return Answer("completed", uri)


def completed_by_text(text: str) -> Answer:
    """Judge the output of a program that succeeded: JSON with `result_uri`, or such a last line.

    Any other text is no result, but no failure either: the work is done, and a requester who
    retries a failed item would have it done twice.
    """
    text = text.strip()
    for candidate in (text, *text.splitlines()[-1:]):
        try:
            value = json.loads(candidate)
        except ValueError, RecursionError:
            continue
        if isinstance(value, dict):
            return completed(value)
    return completed(None)


def seconds(after: object) -> float | None:
    """Return the wait that a handler asks for in seconds, from 0 to LONGEST_WAIT.

    Raises ValueError if it is not a length of time.
    """
    if after is None:
        return None
    if isinstance(after, timedelta):
        after = after.total_seconds()
    # `isnan` does not take an integer of any size.
    if isinstance(after, bool) or not isinstance(after, int | float) or after != after:  # noqa: PLR0124
        raise ValueError("it is neither a number of seconds nor a timedelta")
    return float(max(0, min(after, LONGEST_WAIT)))


def answer_to_error(error: BaseException) -> Answer:
    """Return the answer that follows from an exception of a handler."""
    match error:
        case Fail():
            return Answer("failed", _reason(error))
        case Retry():
            return _again(error)
        case _:
            return Answer("retry", public(describe(error), MAX_REASON))


def _again(error: Retry) -> Answer:
    reason = _reason(error)
    try:
        return Answer("retry", reason, seconds(error.after))
    except ValueError as wrong:
        return Answer("retry", f"{reason} (its `after` is ignored: {wrong})")


def _reason(error: BaseException) -> str:
    return public(text_of(error), MAX_REASON) or "the handler gave no reason"
