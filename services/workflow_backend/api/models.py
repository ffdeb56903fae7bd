"""Models of requests and answers."""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator

from .moments import FutureMoment
from .text import IDENTIFIER, PRINTABLE, Text

ItemId = Annotated[str, Text(IDENTIFIER, 1, 128)]
Name = Annotated[str, Text(IDENTIFIER, 1, 64)]
Kind = Annotated[str, Text(IDENTIFIER, 1, 64)]
Account = Annotated[str, Text(IDENTIFIER, 1, 128)]
Uri = Annotated[str, Text(PRINTABLE, 1, 1024)]
Reference = Annotated[str, Text(PRINTABLE, 0, 1024)]
Reason = Annotated[str, Text(PRINTABLE, 0, 512)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339 in UTC, with a Z."""
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
Priority = Annotated[int, Field(ge=0, le=9)]
"""0 is first, 9 last."""


def _optional(description: str) -> Any:
    """Describe an optional field without its default, for which generators make it required."""

    def without_default(schema: dict[str, Any]) -> None:
        schema.pop("default", None)

    return Field(description=description, json_schema_extra=without_default)


BATCH_LIMIT = 500
"""Items in one POST at most."""


class FieldError(BaseModel):
    """A field and what is wrong with it."""

    field: str
    message: str


class Problem(BaseModel):
    """A problem as in RFC 9457; `errors` lists the fields that are wrong, if any."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] | None = None


class Submission(BaseModel):
    """A new item. `payload_uri` refers to a description of the work."""

    model_config = ConfigDict(extra="forbid")

    item_id: ItemId
    payload_uri: Uri
    kind: Annotated[Kind, _optional("`job` if left out")] = "job"
    metadata_ref: Annotated[Reference, _optional("empty if left out")] = ""
    priority: Annotated[Priority, _optional("from 0, first, to 9; 5 if left out")] = 5
    not_before: Annotated[
        FutureMoment | None,
        _optional("when it may be claimed; at once if left out"),
    ] = None
    after: Annotated[
        list[ItemId],
        Field(max_length=8),
        _optional("up to 8 items that have to be completed before it is claimed"),
    ] = []

    @field_validator("after")
    @classmethod
    def _name_each_once(cls, after: list[str]) -> list[str]:
        if len(set(after)) < len(after):
            raise ValueError("expected each item once")
        return after

    def content(self) -> dict[str, Any]:
        """Return the fields as the contract has them."""
        seconds = 0 if self.not_before is None else math.ceil(self.not_before.timestamp())
        return self.model_dump() | {"not_before": seconds, "after": tuple(self.after)}


Entry = Annotated[Any, WithJsonSchema({"$ref": "#/components/schemas/Submission"})]
"""A submission that is validated by itself, so that an invalid one does not refuse the others."""


class Submissions(BaseModel):
    """New items, each validated and decided by itself."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[Entry], Field(min_length=1, max_length=BATCH_LIMIT)]


class Cancellation(BaseModel):
    """Why an item is cancelled, or to be stopped."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[Reason, _optional("empty if left out")] = ""


class ItemRecord(BaseModel):
    """An item as the contract keeps it. `client` is the client whose token submitted it.

    `created_at` and `updated_at` are when the blocks of its first and last change were committed.
    The `contract_` times are the contract's own, by which leases run. `revision` counts the writes
    of the record, 0 where the contract's version does not count. The `stop_` fields are null as
    long as nobody asked the holder to stop. Of an archived item, `ended` is the status in which it
    was archived, `digest` the SHA-256 that the chain keeps of its record, and `archived_record`
    that record, null where it is not known any more; then its times may be null, too.
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
    created_at: Time | None
    updated_at: Time | None
    attempt: int
    lease_seconds: int
    contract_created_at: Time | None
    contract_updated_at: Time | None
    contract_contested_at: Time | None
    revision: int
    priority: int
    not_before: Time | None
    after: list[str]
    contract_stop_requested_at: Time | None
    stop_requested_by: str | None
    stop_reason: str | None
    ended: Status | None
    digest: str | None
    archived_record: dict[str, Any] | None


class ProjectedItem(ItemRecord):
    """An item as projected. `last_event_id` is its newest event.

    `blocked_by` are those of `after` that ended without being completed: the item waits for good,
    unless they are retried.
    """

    last_event_id: str | None
    blocked_by: list[str]


class EventRecord(BaseModel):
    """An event of the contract. `event_id` is its position in the chain, `actor` who caused it.

    `created` is when its block was committed, `contract_created` the contract's time.
    """

    event_id: str
    event_name: str
    block_height: int
    item_id: str | None
    actor: str | None
    data: dict[str, Any]
    tx_hash: str
    created: Time
    contract_created: Time


class ItemList(BaseModel):
    """A page of projected items, newest first; `count` is this page's.

    `next_cursor` is the cursor of the next page, null at the end of the list.
    """

    count: int
    items: list[ProjectedItem]
    next_cursor: str | None


class ItemView(BaseModel):
    """The contract's record, what the projection has of it, and the item's last events."""

    item: ItemRecord
    projection: ProjectedItem | None
    recent_activity: list[EventRecord]


class Activity(BaseModel):
    """Events, newest first; `item_id` is null if they are of all items.

    `next_cursor` is the cursor of the next page, null at the end of the list.
    """

    item_id: str | None
    count: int
    events: list[EventRecord]
    next_cursor: str | None


class Summary(BaseModel):
    """How many items there are, in all and in each status, and how many events they have.

    `last_event_id` is the projection's newest event, of any item.
    """

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


class Accepted(BaseModel):
    """The result of a write; `finalized` tells whether it is in a block already."""

    item_id: str
    tx_hash: str | None
    finalized: bool
    item: ItemRecord | None


class Refusal(BaseModel):
    """Why one entry of a batch was refused; `status` is that of a single request.

    `errors` lists the fields that are wrong.
    """

    status: int
    detail: str
    errors: list[FieldError]


class BatchEntry(BaseModel):
    """The result of one entry of a batch: accepted or refused.

    `item_id` is null if the entry has none.
    """

    item_id: str | None
    accepted: Accepted | None
    refusal: Refusal | None


class BatchOutcome(BaseModel):
    """The results of all entries, in order, and how many were accepted and refused."""

    accepted: int
    refused: int
    results: list[BatchEntry]
