"""A piece of work and what may come of it."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

MAX_RESULT = 1024
"""The longest result URI that the contract takes, in characters."""

MAX_REASON = 512
"""The longest reason that the contract takes, in characters."""

MAX_PROGRESS = 200

type Outcome = Literal["completed", "failed", "retry", "interrupted"]


class Answer(NamedTuple):
    """What came of one try.

    `text` is the result's URI where it completed, else the reason. `failed` is for good; after
    `retry` it may be tried again, at the earliest in `after` seconds. `interrupted` says nothing
    about the item: the try was ended from outside and does not count.
    """

    outcome: Outcome
    text: str
    after: float | None = None


class Fail(Exception):
    """Raised by a handler: the item has failed for good, for the reason given."""


class Retry(Exception):
    """Raised by a handler: try again, at the earliest in `after` seconds."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


@dataclass(frozen=True, slots=True)
class Job:
    """One try at one item.

    `item` is the contract's record. `attempt` counts the item's claims, `number` the tries within
    this one, both from 1. `idempotency_key` is the same for every try, claim and worker of an item,
    so that whoever is asked twice can tell. `progress` takes a short text for people to read.
    """

    item: dict[str, Any]
    attempt: int
    number: int
    idempotency_key: str
    progress: Callable[[str], None] = field(default=lambda _: None, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Return what is sent to the handlers' process, to a command and to a URL."""
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
        """Make ready, or raise WorkflowError."""

    async def run(self, job: Job) -> Answer:
        """Do one try; when cancelled, end whatever was begun."""

    async def close(self) -> None:
        """Leave nothing running."""


class Echo:
    """Completes each item with its own payload as the result."""

    async def start(self) -> None:
        """Nothing is needed."""

    async def run(self, job: Job) -> Answer:
        """Answer at once."""
        return Answer("completed", job.item["payload_uri"])

    async def close(self) -> None:
        """Nothing was begun."""


def is_printable(text: str) -> bool:
    """Tell whether the contract takes the text as it is: spaces anywhere are part of it."""
    return text.isascii() and text.isprintable()


def printable(text: str, longest: int) -> str:
    """Return the text on one line as the contract takes it: printable ASCII, cut to a length."""
    clean = "".join(c if is_printable(c) else "?" for c in " ".join(text.split()))
    return clean if len(clean) <= longest else clean[: longest - 3] + "..."


def completed(result: object) -> Answer:
    """Judge what a handler gave as its result: nothing, a URI, or an object with `result_uri`."""
    if isinstance(result, dict):
        result = result.get("result_uri")
    uri = "" if result is None else result
    if not isinstance(uri, str):
        return Answer("failed", "the handler's result_uri is no text")
    if len(uri) > MAX_RESULT or not is_printable(uri):
        return Answer(
            "failed", f"the handler's result_uri is not {MAX_RESULT} printable ASCII characters"
        )
    return Answer("completed", uri)


def completed_by_text(text: str) -> Answer:
    """Judge what a program wrote that did the work: JSON with `result_uri`, if only its last line.

    Any other text is no result. It is no failure either: the work is done, and a requester who has
    a failed item done again would have it done twice.
    """
    text = text.strip()
    for candidate in (text, *text.splitlines()[-1:]):
        try:
            value = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(value, dict):
            return completed(value)
    return completed(None)


async def guarded(work: Awaitable[Answer]) -> Answer:
    """Turn what a handler raises into an answer."""
    try:
        return await work
    except Fail as error:
        return Answer("failed", str(error) or "the handler gave no reason")
    except Retry as error:
        return Answer("retry", str(error) or "the handler gave no reason", error.after)
    except Exception as error:
        return Answer("retry", f"{type(error).__name__}: {error}")
