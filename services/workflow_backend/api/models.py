"""The shapes of requests and answers."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

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
Status = Literal["submitted", "processing", "completed", "failed", "cancelled"]
Event = Literal["ItemSubmitted", "ItemClaimed", "ItemCompleted", "ItemFailed", "ItemCancelled"]


def _optional(description: str) -> Any:
    """Return what describes a field that may be left out: of a default, generators make a must."""

    def without_default(schema: dict[str, Any]) -> None:
        schema.pop("default", None)

    return Field(description=description, json_schema_extra=without_default)


BATCH_LIMIT = 500
"""The most items in one POST."""


class FieldError(BaseModel):
    """One field that is wrong and why."""

    field: str
    message: str


class Problem(BaseModel):
    """A problem as RFC 9457 describes it; `errors` names the fields where a field is wrong."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] | None = None


class Submission(BaseModel):
    """A new item. `payload_uri` says where the work is described, not the work itself."""

    model_config = ConfigDict(extra="forbid")

    item_id: ItemId
    payload_uri: Uri
    kind: Annotated[Kind, _optional("`job` where it is left out")] = "job"
    metadata_ref: Annotated[Reference, _optional("empty where it is left out")] = ""


Entry = Annotated[Any, WithJsonSchema({"$ref": "#/components/schemas/Submission"})]
"""A submission that is checked later, so that a wrong one does not keep the others back."""


class Submissions(BaseModel):
    """New items, each checked and decided by itself."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[Entry], Field(min_length=1, max_length=BATCH_LIMIT)]


class Cancellation(BaseModel):
    """Why an item is cancelled."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[Reason, _optional("empty where it is left out")] = ""


class ItemRecord(BaseModel):
    """An item as the contract keeps it. `client` is whose token the item was submitted with.

    `created_at` and `updated_at` are when the blocks of its first and last change were committed.
    The others are the contract's own times, by which leases run: of the commit before each block.
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
    created_at: Time
    updated_at: Time
    attempt: int
    lease_seconds: int
    contract_created_at: Time
    contract_updated_at: Time
    contract_contested_at: Time | None


class EventRecord(BaseModel):
    """An event of the contract; `id` is its place in the chain.

    `created_at` is when its block was committed, `contract_created_at` the contract's time.
    """

    id: str
    block_height: int
    event: str
    item_id: str | None
    data: dict[str, Any]
    tx_hash: str
    created_at: Time
    contract_created_at: Time


class ItemList(BaseModel):
    """A page of projected items, newest first; `count` is this page's.

    `next_cursor` is the cursor of the next page, null where the list ends.
    """

    count: int
    items: list[ItemRecord]
    next_cursor: str | None


class ItemView(BaseModel):
    """The contract's record, what the projection has of it, and the item's last events."""

    item: ItemRecord
    projection: ItemRecord | None
    recent_activity: list[EventRecord]


class Activity(BaseModel):
    """Events, newest first; `item_id` is null where they are of all items.

    `next_cursor` is the cursor of the next page, null where the list ends.
    """

    item_id: str | None
    count: int
    events: list[EventRecord]
    next_cursor: str | None


class Summary(BaseModel):
    """How many items there are in each status, and in all."""

    submitted: int
    processing: int
    completed: int
    failed: int
    cancelled: int
    total: int


class Accepted(BaseModel):
    """What a write came to; `finalized` tells whether it is in a block already."""

    item_id: str
    tx_hash: str | None
    finalized: bool
    item: ItemRecord | None


class Refusal(BaseModel):
    """Why one entry of a batch was refused; `status` is what a single request would answer.

    `errors` names the fields where a field is wrong.
    """

    status: int
    detail: str
    errors: list[FieldError]


class BatchEntry(BaseModel):
    """What became of one entry of a batch: either it was accepted or there is a refusal.

    `item_id` is null where the entry has none that is a text.
    """

    item_id: str | None
    accepted: Accepted | None
    refusal: Refusal | None


class BatchOutcome(BaseModel):
    """What became of each entry, in their order; `accepted` counts those that were."""

    accepted: int
    refused: int
    results: list[BatchEntry]


class ProjectionHealth(BaseModel):
    """How level the projection is with the index; `lag` counts blocks.

    `lag_seconds` is how long ago this API saw a block that the projection does not have yet.
    """

    healthy: bool
    chain_id: str
    contract: str
    height: int
    indexed_height: int | None
    lag: int | None
    lag_seconds: float
    last_event: str | None


class Health(BaseModel):
    """Whether chain, index and projection are there and belong together.

    `requester` is its wallet's account, null where it has none and only reads. `warnings` tell what
    will be in the way before long, as a wallet that runs low.
    """

    status: Literal["ok", "degraded"]
    chain_id: str
    contract: str
    requester: str | None
    height: int | None
    indexed_height: int | None
    projected_height: int | None
    problems: list[str]
    warnings: list[str]


class Live(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
