"""The API's answers, JSON objects with times as RFC 3339 texts in UTC, and the lists' filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict

Status = Literal["submitted", "processing", "completed", "failed", "cancelled", "archived"]
EventName = Literal[
    "ItemSubmitted",
    "ItemClaimed",
    "ItemCompleted",
    "ItemFailed",
    "ItemCancelled",
    "ItemStopRequested",
    "ItemArchived",
]

SETTLED: tuple[Status, ...] = ("completed", "failed", "cancelled", "archived")
"""The statuses in which an item stays, unless it is retried."""

Time = datetime | str


class ListFilters(TypedDict, total=False):
    """The filters of every list.

    Times are those of the blocks that created what is listed. `client` narrows an admin's list.
    `limit` is the number of entries of a page, 100 by default and 500 at most. `cursor` is the
    `next_cursor` of the page before.
    """

    status: Status | None
    kind: str | None
    requester: str | None
    worker: str | None
    client: str | None
    id_prefix: str | None
    created_from: Time | None
    created_before: Time | None
    limit: int
    cursor: str | None


class ItemFilters(ListFilters, total=False):
    """The filters of a list of items."""

    priority: int | None
    updated_from: Time | None
    updated_before: Time | None


class EventFilters(ListFilters, total=False):
    """The filters of a list of events.

    `status` is the one in which an event left its item; `event_name` says the same.
    """

    event_name: EventName | None


class Item(TypedDict):
    """An item. `worker` is the account that holds it or held it last, `client` who submitted it.

    `revision` counts the writes of the contract's record, 0 where its version does not count. Of an
    archived item, `ended` is the status in which it was archived, `digest` the SHA-256 that the
    chain keeps of its record, and `archived_record` that record. It and the times are None where
    nobody knows them any more.
    """

    item_id: str
    requester: str
    kind: str
    payload_uri: str
    metadata_ref: str
    client: str
    status: Status
    worker: str | None
    result_uri: str | None
    failure_reason: str | None
    created_at: str | None
    updated_at: str | None
    attempt: int
    lease_seconds: int
    contract_created_at: str | None
    contract_updated_at: str | None
    contract_contested_at: str | None
    revision: int
    priority: int
    not_before: str | None
    after: list[str]
    contract_stop_requested_at: str | None
    stop_requested_by: str | None
    stop_reason: str | None
    ended: Status | None
    digest: str | None
    archived_record: dict[str, Any] | None


class ProjectedItem(Item):
    """An item as the projection has it; `last_event_id` is its newest event.

    `blocked_by` are those of `after` that ended without being completed: the item waits for good,
    unless they are retried.
    """

    last_event_id: str | None
    blocked_by: list[str]


class Event(TypedDict):
    """An event of the contract. `event_id` is its position in the chain, `actor` who caused it."""

    event_id: str
    event_name: EventName
    block_height: int
    item_id: str | None
    actor: str | None
    data: dict[str, Any]
    tx_hash: str
    created: str
    contract_created: str


class ItemView(TypedDict):
    """An item as the contract has it, as the projection has it, and its last events."""

    item: Item
    projection: ProjectedItem | None
    recent_activity: list[Event]


class ItemList(TypedDict):
    """A page of items. `next_cursor` leads to the next page and is None on the last one."""

    count: int
    items: list[ProjectedItem]
    next_cursor: str | None


class Activity(TypedDict):
    """A page of events. `item_id` is None where they are of all items."""

    item_id: str | None
    count: int
    events: list[Event]
    next_cursor: str | None


class Summary(TypedDict):
    """How many items there are, in all and in each status, and how many events they have."""

    workflow_contract: str
    item_count: int
    submitted_count: int
    processing_count: int
    completed_count: int
    failed_count: int
    cancelled_count: int
    archived_count: int
    activity_count: int
    last_event_id: str | None


class Submission(TypedDict, total=False):
    """An item to submit; `item_id` and `payload_uri` are required."""

    item_id: str
    payload_uri: str
    kind: str
    metadata_ref: str
    priority: int
    not_before: str | None
    after: Sequence[str]


class Accepted(TypedDict):
    """A write that the API accepted. `finalized` tells whether it is in a block yet."""

    item_id: str
    tx_hash: str | None
    finalized: bool
    item: Item | None


class FieldError(TypedDict):
    """A field that is wrong, and why."""

    field: str
    message: str


class Refusal(TypedDict):
    """Why an entry of a batch was refused; `status` is what it would be answered alone."""

    status: int
    detail: str
    errors: list[FieldError]


class BatchEntry(TypedDict):
    """An entry of a batch: it has either `accepted` or a `refusal`."""

    item_id: str | None
    accepted: Accepted | None
    refusal: Refusal | None


class BatchOutcome(TypedDict):
    """What became of each entry of a batch, in their order."""

    accepted: int
    refused: int
    results: list[BatchEntry]


class ProjectionState(TypedDict):
    """What the projection holds; the counts are None where the API needs tokens."""

    item_count: int | None
    activity_count: int | None
    last_event_id: str | None


class Health(TypedDict):
    """Whether chain, index and projection are there and belong together."""

    status: Literal["ok", "degraded"]
    network: str
    workflow_contract: str
    requester: str | None
    height: int | None
    catching_up: bool | None
    indexed_height: int | None
    projected_height: int | None
    projection: ProjectionState | None
    problems: list[str]
    warnings: list[str]


@dataclass(frozen=True)
class StreamedEvent:
    """An event of the live stream. A stream that begins with `cursor` goes on behind the event."""

    cursor: str
    event: Event
