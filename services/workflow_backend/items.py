"""Plain data: items, events and their positions, blocks, and outcomes of actions."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple, Self

from .errors import ForeignRecord

STATUSES = ("submitted", "processing", "completed", "failed", "cancelled", "archived")
"""All statuses of an item, in the order in which it may reach them."""

FINAL_STATUSES = frozenset({"completed", "failed", "cancelled", "archived"})
"""Statuses in which no worker is expected to act; a failed item may still be retried."""

DEFAULT_PRIORITY = 5
"""The priority of an item for which none was named; 0 is first and 9 last."""


def fingerprint(*names: str) -> str:
    """Return a short hash of these names, by which foreign cursors are recognised."""
    return sha256("\n".join(names).encode()).hexdigest()[:16]


class EventPosition(NamedTuple):
    """The position of an event: block height, transaction in the block, event in it."""

    height: int
    tx_index: int
    event_index: int

    def __str__(self) -> str:
        return f"{self.height}-{self.tx_index}-{self.event_index}"

    def cursor(self, chain_id: str, contract: str, block_hash: str) -> str:
        """Return the position as a cursor that is valid for this contract and history only."""
        return f"{self}.{fingerprint(chain_id, contract, block_hash)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the form of `str(position)`; raises ValueError."""
        height, tx_index, event_index = (int(part) for part in text.split("-"))
        return cls(height, tx_index, event_index)


START = EventPosition(-1, -1, -1)
"""The position before the first event."""


class Block(NamedTuple):
    """A committed block. Times are RFC 3339.

    `time` is when it was committed. `contract_time` is the `now` of its transactions, which is when
    the block before it was committed.
    """

    height: int
    hash: str
    contract_time: str
    time: str


@dataclass(frozen=True, slots=True)
class Item:
    """The contract's record of one item. Times are its `str(now)`, in UTC: see `Block`.

    `client` names for whom the requester submitted the item, empty if it named nobody. `attempt`
    counts claims. `lease_seconds` is the lease of the current claim, 0 without one. `contested_at`
    is the time from which a contender waits for the lease to pass.

    The first version of the contract has no more than that, so all else has a default. `revision`
    counts the writes of the record. `priority` is 0 (first) to 9, `not_before` is in seconds since
    1970, 0 for at once, and `after` has the ids of the items that have to be completed first. The
    `stop_` fields are None as long as nobody asked the holder to stop.

    Of an archived item the state keeps only `attempt`, the status in which it `ended`, and the
    `digest` of the record as it last stood. `archived_record` is that record as JSON, None where
    nobody has looked it up or no index has it: then all other fields are empty.
    """

    item_id: str
    requester: str
    kind: str
    payload_uri: str
    metadata_ref: str
    client: str
    status: str
    worker: str | None
    result_uri: str | None
    failure_reason: str | None
    created_at: str
    updated_at: str
    attempt: int
    lease_seconds: int
    contested_at: str | None
    revision: int = 0
    priority: int = DEFAULT_PRIORITY
    not_before: int = 0
    after: tuple[str, ...] = ()
    stop_requested_at: str | None = None
    stop_requested_by: str | None = None
    stop_reason: str | None = None
    ended: str | None = None
    digest: str | None = None
    archived_record: str | None = None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Item:
        """Build an item from the contract's record; raises ForeignRecord for any other record.

        A record may leave out fields that are empty, and that of an archived item leaves out most.
        """
        try:
            if record["status"] == "archived":
                item = cls(**_EMPTY | {name: record[name] for name in TOMBSTONE})
            else:
                fields = _OPTIONAL | {name: record[name] for name in _RECORD if name in record}
                fields["contested_at"] = fields["contested_at"] or None
                fields["after"] = tuple(fields["after"])
                item = cls(**fields)
        except (KeyError, TypeError) as error:
            raise ForeignRecord from error
        if not _has_form(item):
            raise ForeignRecord
        return item

    def as_dict(self) -> dict[str, Any]:
        """Return the record as a plain dictionary."""
        return asdict(self)


TOMBSTONE = ("item_id", "status", "ended", "attempt", "digest")
"""What the state keeps of an archived item."""

_OPTIONAL: dict[str, Any] = {
    **dict.fromkeys(("metadata_ref", "client", "worker", "result_uri", "failure_reason"), ""),
    "lease_seconds": 0,
    "contested_at": None,
    "after": (),
}
"""What a record may leave out, beside the fields that have a default."""

_EMPTY = _OPTIONAL | dict.fromkeys(
    ("requester", "kind", "payload_uri", "created_at", "updated_at"), ""
)
"""What only the archived record tells."""

_RECORD = tuple(name for name in Item.__slots__ if name != "archived_record")
_TEXTS = (
    "item_id", "requester", "kind", "payload_uri", "metadata_ref", "client", "created_at",
    "updated_at",
)  # fmt: skip
_TIMES = ("created_at", "updated_at", "contested_at", "stop_requested_at")
_NUMBERS = {
    "attempt": 2**31,
    "lease_seconds": 2**31,
    "revision": 2**31,
    "priority": 10,
    "not_before": 253_402_300_800,
}
"""Each number of a record, and what it stays below."""

# It is asked of every record that is read: types are compared at once.
_texts_of = attrgetter(*_TEXTS)
_times_of = attrgetter(*_TIMES)
_numbers_of = attrgetter(*_NUMBERS)
_others_of = attrgetter(
    *(name for name in _RECORD if name not in {*_TEXTS, *_NUMBERS, "after", "status"})
)


def _has_form(item: Item) -> bool:
    """Tell whether all fields are of their types: an index may be a copy of somebody else's."""
    numbers = _numbers_of(item)
    if not (
        item.status in STATUSES
        and {str} >= {*map(type, _texts_of(item)), *map(type, item.after)}
        and {str, NoneType} >= {*map(type, _others_of(item))}
        and {int, bool} >= {*map(type, numbers)}
    ):
        return False
    try:
        for time in filter(None, _times_of(item)):
            datetime.fromisoformat(time)
    except ValueError:
        return False
    return all(0 <= one < most for one, most in zip(numbers, _NUMBERS.values(), strict=True))


def record_digest(record: Mapping[str, Any]) -> str:
    """Return the SHA-256 by which the contract's state keeps a record that it archives."""
    values = {name: " ".join(v) if name == "after" else v for name, v in record.items()}
    lines = [f"{name}={values[name]}" for name in sorted(values)]
    return sha256("\n".join(lines).encode()).hexdigest()


def actor_of(data: Mapping[str, Any]) -> str | None:
    """Return the account that actor_of in an event with these fields."""
    return data.get("worker") or data.get("requester") or data.get("actor")


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the contract as the index returns it.

    `created_at` is the contract's time, as in a record. `index_id` is the row's id in the index.
    Ids have gaps and change when the index is rebuilt, so one is only a hint where to look.
    """

    position: EventPosition
    name: str
    data: dict[str, Any]
    tx_hash: str
    created_at: str
    index_id: int

    @property
    def item_id(self) -> str | None:
        """The item that the event is about; None for events about workers."""
        return self.data.get("item_id")

    @property
    def actor(self) -> str | None:
        """The account that actor_of: the worker, the requester or whoever the event names."""
        return actor_of(self.data)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one action on one item.

    `code` is the contract's: ok, invalid, exists, missing, state, forbidden, leased, stale,
    archived, early, waiting, paused or stopping.
    `attempt` is the item's after the action, and `item` its record if the action took effect.
    `tx_hash` and `height` are of the deciding transaction; the height is 0 if the outcome was
    derived from the record.
    """

    item_id: str | None
    code: str
    message: str
    attempt: int
    item: Item | None
    tx_hash: str
    height: int

    @property
    def ok(self) -> bool:
        """Whether the action took effect."""
        return self.code == "ok"
