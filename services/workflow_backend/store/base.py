"""What a projection's database promises, whichever database it is."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ..chain.events import Cursor
from ..items import Block, Event, Item, Place


@dataclass(frozen=True, slots=True)
class Position:
    """How far a projection is: the height that it took in and the place of its last event.

    `time` is when the block of that event was committed, as far as it is known.
    """

    chain_id: str
    contract: str
    height: int
    last_event: str | None
    time: str | None = None


@dataclass(frozen=True, slots=True)
class Whose:
    """The items that one of these accounts submitted for this client.

    A client is only the requester's word, and anybody may use any word: neither says much alone.
    """

    client: str
    requesters: tuple[str, ...]

    def has(self, row: Mapping[str, Any]) -> bool:
        """Tell whether an item, or an event of it, is among these."""
        return row["client"] == self.client and row["requester"] in self.requesters


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFilter:
    """Which items a list has; a field that is None lets all through.

    A time range begins with its first time and ends before its second; times carry a zone and are
    those of the blocks, created or last changed.
    """

    status: str | None = None
    kind: str | None = None
    requester: str | None = None
    worker: str | None = None
    id_prefix: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    updated_from: datetime | None = None
    updated_before: datetime | None = None
    whose: Whose | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events a list has; a field that is None lets all through.

    `kind`, `requester` and `whose` are the item's, `worker` is who claimed, completed or failed it
    in this event. A time range begins with its first time and ends before its second.
    """

    item_id: str | None = None
    name: str | None = None
    kind: str | None = None
    requester: str | None = None
    worker: str | None = None
    id_prefix: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    whose: Whose | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a list, and the cursor behind it: None where the list ends.

    A page may have fewer rows than asked for and still not be the last: what no index answers is
    looked for in a limited number of rows at a time.
    """

    rows: list[dict[str, Any]]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """A page of events behind the place `since`, with the cursor and the index's height behind it.

    `items` are the records of the items that the events touch. One may be left out where an
    earlier change had it with all that these events did to it. `blocks` are those of the events,
    by height.
    """

    since: Place
    events: Sequence[Event]
    items: Sequence[Item]
    cursor: Cursor
    height: int
    blocks: Mapping[int, Block]


class Store(Protocol):
    """The projection of one contract on one chain, as readers see it.

    An item's row has the fields of `Item`, and created_time and updated_time: when the blocks of
    its first and last event were committed. An event's row has id ("height-tx-event"), cursor,
    block_height, event, item_id, kind, requester, client, worker, data, tx_hash, created_at (the
    contract's) and time. Where a block is not known yet, its times are the contract's, and the
    cursor is the id alone.
    Every method raises ProjectionUnavailable where the database can't be read, and
    ProjectionMismatch where it is another contract's or another chain's.
    """

    async def position(self) -> Position:
        """Return how far the projection is."""
        ...

    async def item(self, item_id: str) -> dict[str, Any] | None:
        """Return one projected item, or None."""
        ...

    async def items(self, which: ItemFilter, limit: int = 100, cursor: str | None = None) -> Listed:
        """Return items, newest first; raises BadCursor.

        By their last change where a range of it is given, by id where a prefix of it is given.
        """
        ...

    async def events(
        self, which: EventFilter, limit: int = 100, cursor: str | None = None
    ) -> Listed:
        """Return events, newest first; raises BadCursor."""
        ...

    async def events_after(self, place: Place, limit: int = 1_000) -> list[dict[str, Any]]:
        """Return the events behind a place, oldest first."""
        ...

    async def has_event(self, place: Place) -> bool:
        """Tell whether there is an event at this place."""
        ...

    async def block(self, height: int) -> Block | None:
        """Return a block with events, None where the projection does not know it."""
        ...

    async def block_in_which_it_was(self, contract_time: str) -> Block | None:
        """Return the block with events in which the contract's `now` was this time, or None."""
        ...

    async def counts(self, whose: Whose | None = None) -> dict[str, int]:
        """Return the number of items by status, every status named."""
        ...

    async def close(self) -> None:
        """Let go of the database."""
        ...


class WritableStore(Store, Protocol):
    """The projection as the projector sees it."""

    async def prepare(self) -> None:
        """Make the projection, if need be, and bring its schema to this release's.

        Raises ProjectionMismatch naming both owners.
        """
        ...

    async def cursor(self) -> Cursor:
        """Return where to read on."""
        ...

    async def apply(self, change: Change) -> bool:
        """Take in a change in one transaction; tell whether it did, or it was in already.

        Raises ProjectionMoved where the projection is somewhere before `since`, or in the middle
        of the page: `cursor` tells where to read on.
        """
        ...

    async def without_blocks(self) -> list[Place]:
        """Return places of events, in order, that an earlier release took in without their blocks.

        There are at most a page of them at a time, and none once `add_blocks` had all.
        """
        ...

    async def add_blocks(self, places: Sequence[Place], blocks: Mapping[int, Block]) -> None:
        """Take in the blocks of events that `without_blocks` told, as far as they are known."""
        ...

    def rebuilding(self) -> AbstractAsyncContextManager[WritableStore]:
        """Yield an empty projection beside this one, which takes its place when the block ends.

        It does so at once and for everybody: readers go on, and a writer is told ProjectionMoved.
        When the block raises, all stays as it was. Raises ProjectionBusy, ProjectionMismatch and
        ProjectionUnavailable.
        """
        ...

    async def mend(self, item: Item, row: Mapping[str, Any] | None) -> bool:
        """Put an item's record in the place of the row that was seen; tell whether it is right.

        A row that was written since is let be, which is right, too. It is not where the item has no
        events here, or where its row says what no change of an item could have changed.
        """
        ...

    async def count_anew(self) -> None:
        """Count the items by status anew, in one transaction."""
        ...

    async def recount(self) -> dict[str, tuple[int, int]]:
        """Return what is counted and what there is, by what is counted."""
        ...
