"""The interface of a projection, whichever database holds it."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ..chain.events import Cursor
from ..items import Block, Event, EventPosition, Item


@dataclass(frozen=True, slots=True)
class ProjectionProgress:
    """How far a projection is: the height up to which it is complete, and its last event.

    `last_event_id` is a position as text. `time` is when its block was committed, None if unknown.
    """

    chain_id: str
    contract: str
    height: int
    last_event_id: str | None
    time: str | None = None


@dataclass(frozen=True, slots=True)
class ClientScope:
    """The items that one of these requesters submitted for this client.

    Any account may submit an item under any client's name, so the name alone proves nothing.
    """

    client: str
    requesters: tuple[str, ...]

    def contains(self, row: Mapping[str, Any]) -> bool:
        """Return whether the row is such an item or one of its events."""
        return row["client"] == self.client and row["requester"] in self.requesters


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFilter:
    """Conditions on items; a field that is None matches every item.

    A time range begins with its first time and ends before its second; times carry a zone and are
    those of the blocks, created or last changed.
    """

    status: str | None = None
    kind: str | None = None
    requester: str | None = None
    worker: str | None = None
    priority: int | None = None
    id_prefix: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    updated_from: datetime | None = None
    updated_before: datetime | None = None
    scope: ClientScope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Conditions on events; a field that is None matches every event.

    `kind`, `requester` and `scope` are the item's, `worker` is who claimed, completed or failed it
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
    scope: ClientScope | None = None


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page of a list, and the cursor for the next one: None on the last page.

    A page that is not the last may be shorter than the limit, because one page reads a limited
    number of rows.
    """

    rows: list[dict[str, Any]]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """A page of events after the position `since`, its cursor, and the index's height.

    `items` are the records of the items that the events touch. A record may be missing if an
    earlier change had it in a state that includes these events. `blocks` are the events' blocks by
    height.
    """

    since: EventPosition
    events: Sequence[Event]
    items: Sequence[Item]
    cursor: Cursor
    height: int
    blocks: Mapping[int, Block]


class Store(Protocol):
    """The projection of one contract on one chain, as readers see it.

    An item's row has the fields of `Item`, last_event_id, blocked_by, and created_time and
    updated_time: when the blocks of its first and last event were committed. `blocked_by` has the
    ids in `after` that ended without being completed, as long as the item is submitted.

    An event's row has event_id ("height-tx-event"), cursor, block_height, event_name, item_id,
    kind, requester, client, worker, data, tx_hash, created_at (the contract's) and time. If a block
    is not known yet, its times are the contract's, and the cursor is the id alone. Times of blocks
    are RFC 3339, the contract's are its `str(now)`.

    Every method raises ProjectionUnavailable if the database can't be read, and ProjectionMismatch
    if it belongs to another contract or chain.
    """

    async def progress(self) -> ProjectionProgress:
        """Return how far the projection is."""
        ...

    async def item(self, item_id: str) -> dict[str, Any] | None:
        """Return the row of an item, or None."""
        ...

    async def items(
        self,
        which: ItemFilter,
        limit: int = 100,
        cursor: str | None = None,
        before_event: EventPosition | None = None,
    ) -> ListPage:
        """Return items, newest first; raises BadCursor.

        Sorted by last change if a range of it is given, by id if a prefix of the id is given. With
        `before_event` the page begins after the item that had this event.
        """
        ...

    async def events(
        self,
        which: EventFilter,
        limit: int = 100,
        cursor: str | None = None,
        before: EventPosition | None = None,
    ) -> ListPage:
        """Return events, newest first; raises BadCursor.

        With `before` the page begins after this position.
        """
        ...

    async def events_after(
        self, position: EventPosition, limit: int = 1_000
    ) -> list[dict[str, Any]]:
        """Return the events after a position, oldest first."""
        ...

    async def has_event(self, position: EventPosition) -> bool:
        """Return whether there is an event at this position."""
        ...

    async def block(self, height: int) -> Block | None:
        """Return a block that holds events, or None if the projection does not know it."""
        ...

    async def block_at_contract_time(self, contract_time: str) -> Block | None:
        """Return the block with events whose `now` in the contract was this time, or None."""
        ...

    async def counts(self, scope: ClientScope | None = None) -> dict[str, int]:
        """Return the number of items in each status."""
        ...

    async def event_count(self, scope: ClientScope | None = None) -> int:
        """Return the number of events."""
        ...

    async def close(self) -> None:
        """Close the connections to the database."""
        ...


class WritableStore(Store, Protocol):
    """The projection as the projector sees it."""

    async def prepare(self) -> None:
        """Create the projection if there is none, and migrate its schema to this release's.

        Raises ProjectionMismatch naming both owners.
        """
        ...

    async def cursor(self) -> Cursor:
        """Return the cursor for the next page of events, which `apply` puts here or nowhere."""
        ...

    async def apply(self, change: Change) -> bool:
        """Apply a change in one transaction; return False if it was applied before.

        Raises ProjectionMoved if the projection is before `since` or in the middle of the page, or
        was replaced since `cursor`: that tells where to go on.
        """
        ...

    async def positions_without_blocks(self) -> list[EventPosition]:
        """Return positions, in order, of events that an earlier release projected without blocks.

        A call returns a page of them, and none once `backfill_blocks` has had all.
        """
        ...

    async def backfill_blocks(
        self, positions: Sequence[EventPosition], blocks: Mapping[int, Block]
    ) -> None:
        """Add the known blocks of events that `positions_without_blocks` returned."""
        ...

    def rebuilding(self) -> AbstractAsyncContextManager[WritableStore]:
        """Yield an empty projection, which replaces this one atomically when the block ends.

        Readers go on; a writer gets ProjectionMoved. If the block raises, the old projection
        stays. Raises ProjectionBusy, ProjectionMismatch and ProjectionUnavailable.
        """
        ...

    async def repair(self, item: Item, row: Mapping[str, Any] | None) -> bool:
        """Replace the row that was read by the item's record; return whether the row is right now.

        A row that was written since it was read stays and counts as right. Only a rebuild can
        repair an item without events here, or a row whose immutable fields are wrong.
        """
        ...

    async def rebuild_counts(self) -> None:
        """Recompute the numbers of items by status in one transaction."""
        ...

    async def audit_counts(self) -> dict[str, tuple[int, int]]:
        """Return (stored, actual) numbers of items: by status, and by client and status."""
        ...
