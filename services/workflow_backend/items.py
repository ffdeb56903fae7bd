"""Plain data: an item, an event, a place in the chain, the outcome of an action."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, NamedTuple, Self

from .errors import ForeignRecord

STATUSES = ("submitted", "processing", "completed", "failed", "cancelled")
"""Every status an item may have, in the order in which it may reach them."""

SETTLED = frozenset({"completed", "failed", "cancelled"})
"""The statuses in which nobody works on an item."""


def mark(*names: str) -> str:
    """Return a word for these names, by which a cursor of others is known."""
    return sha256("\n".join(names).encode()).hexdigest()[:16]


class Place(NamedTuple):
    """Where an event stands in the chain: block height, transaction in it, event in that."""

    height: int
    tx_index: int
    event_index: int

    def __str__(self) -> str:
        return f"{self.height}-{self.tx_index}-{self.event_index}"

    def cursor(self, chain_id: str, contract: str, block_hash: str) -> str:
        """Return the place as a cursor that is good for this contract and history alone."""
        return f"{self}.{mark(chain_id, contract, block_hash)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the place that `str` wrote; raises ValueError."""
        height, tx_index, event_index = (int(part) for part in text.split("-"))
        return cls(height, tx_index, event_index)


START = Place(-1, -1, -1)
"""Before every event."""


class Block(NamedTuple):
    """A block that is committed for good. Times are RFC 3339.

    `time` is when it was committed, `contract_time` the `now` that its transactions saw: when the
    block before it was committed.
    """

    height: int
    hash: str
    contract_time: str
    time: str


@dataclass(frozen=True, slots=True)
class Item:
    """The contract's record of one item. Times are its `str(now)`, in UTC: see `Block`.

    `client` is the requester's own word for whom it submitted the item, empty where it gave none.
    `attempt` counts claims; `lease_seconds` is the current claim's lease, 0 when nobody holds the
    item; `contested_at` is the time from which a contender's wait for the lease counts.
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

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Item:
        """Build an item from the contract's record; raises ForeignRecord where it is none.

        A contract that knows no clients keeps none, and is served all the same.
        """
        try:
            known = {"client": "", **record}
            return cls(**{name: known[name] for name in cls.__slots__})
        except (KeyError, TypeError) as error:
            raise ForeignRecord from error

    def as_dict(self) -> dict[str, Any]:
        """Return the record as a plain dictionary."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the contract as the index tells it.

    `created_at` is the contract's time, as in a record. `index_id` is the row's number in the
    index: it has gaps, and a rebuilt index gives others, so it only helps to find a place again.
    """

    place: Place
    name: str
    data: dict[str, Any]
    tx_hash: str
    created_at: str
    index_id: int

    @property
    def item_id(self) -> str | None:
        """The item that the event speaks of; None for events about workers."""
        return self.data.get("item_id")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one action on one item.

    `code` is the contract's word: ok, invalid, exists, missing, state, forbidden, leased or stale.
    `attempt` is the item's after the action, `item` its record then where the action had an effect.
    `tx_hash` and `height` tell where it was decided; the height is 0 where only the record told.
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
        """True where the action had its effect."""
        return self.code == "ok"
