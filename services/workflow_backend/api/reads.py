"""Routes that read: the chain for what is authoritative, the projection for lists and history."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query

from ..errors import ProjectionUnavailable
from ..items import SETTLED
from ..store.base import EventFilter, ItemFilter, Listed
from .access import Reader, seen_item, whose
from .backend import Used
from .models import Account, Activity, ItemId, ItemList, ItemView, Kind, Name, Status, Summary
from .problems import responses

router = APIRouter()

Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[
    str | None, Query(description="`next_cursor` of the page before", max_length=512)
]
PathId = Annotated[ItemId, Path()]
Client = Annotated[Name | None, Query(description="the token that items were submitted with")]
IdPrefix = Annotated[ItemId | None, Query(description="the beginning of items' ids")]
Time = Annotated[datetime | None, Query(description="with a zone, such as 2026-01-31T12:00:00Z")]
Wait = Annotated[
    Literal["completed"] | None, Query(description="answer only when the item is settled")
]
Seconds = Annotated[
    float, Query(alias="timeout", gt=0, le=300, description="seconds to wait at most")
]

RECENT = 20


@router.get("/projection/summary", responses=responses(401, 403, 429, 503))
async def summary(used: Used, who: Reader) -> Summary:
    """Count the projected items by status."""
    counts = await used.store.counts(whose(used, who))
    return Summary(**counts, total=sum(counts.values()))


@router.get("/items", responses=responses(401, 403, 422, 429, 503))
async def items(
    used: Used,
    who: Reader,
    *,
    status: Status | None = None,
    kind: Kind | None = None,
    requester: Account | None = None,
    worker: Account | None = None,
    client: Client = None,
    id_prefix: IdPrefix = None,
    created_from: Time = None,
    created_before: Time = None,
    updated_from: Time = None,
    updated_before: Time = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> ItemList:
    """List projected items, newest first; by last change or by id where that is asked for."""
    which = ItemFilter(
        status=status,
        kind=kind,
        requester=requester,
        worker=worker,
        id_prefix=id_prefix,
        created_from=created_from,
        created_before=created_before,
        updated_from=updated_from,
        updated_before=updated_before,
        whose=whose(used, who, client),
    )
    page = await used.store.items(which, limit, cursor)
    return ItemList.model_validate(
        {"count": len(page.rows), "items": page.rows, "next_cursor": page.next_cursor}
    )


@router.get("/items/{item_id}", responses=responses(401, 403, 404, 422, 429, 503))
async def item(
    used: Used, who: Reader, item_id: PathId, wait: Wait = None, seconds: Seconds = 30.0
) -> ItemView:
    """Return the contract's own record of an item, and what the projection has of it."""
    record = await seen_item(used, who, item_id)
    if wait and record.status not in SETTLED:
        settled = await used.waiting.settled(item_id, seconds)
        record = settled or await seen_item(used, who, item_id)
    projected: dict[str, Any] | None = None
    recent: list[dict[str, Any]] = []
    try:
        projected = await used.store.item(item_id)
        recent = (await used.store.events(EventFilter(item_id=item_id), RECENT)).rows
    except ProjectionUnavailable:
        projected = None  # the authoritative read stands without it
    return ItemView.model_validate(
        {"item": record.as_dict(), "projection": projected, "recent_activity": recent}
    )


@router.get("/items/{item_id}/activity", responses=responses(401, 403, 404, 422, 429, 503))
async def item_activity(
    used: Used, who: Reader, item_id: PathId, limit: Limit = 100, cursor: Cursor = None
) -> Activity:
    """Return an item's events, newest first."""
    which = EventFilter(item_id=item_id, whose=whose(used, who))
    page = await used.store.events(which, limit, cursor)
    if not page.rows:
        await seen_item(used, who, item_id)
    return _activity(item_id, page)


@router.get("/activity/recent", responses=responses(401, 403, 422, 429, 503))
async def recent_activity(
    used: Used,
    who: Reader,
    *,
    event: Name | None = None,
    kind: Kind | None = None,
    requester: Account | None = None,
    worker: Account | None = None,
    client: Client = None,
    id_prefix: IdPrefix = None,
    created_from: Time = None,
    created_before: Time = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Activity:
    """Return the last events of all items, newest first."""
    which = EventFilter(
        name=event,
        kind=kind,
        requester=requester,
        worker=worker,
        id_prefix=id_prefix,
        created_from=created_from,
        created_before=created_before,
        whose=whose(used, who, client),
    )
    return _activity(None, await used.store.events(which, limit, cursor))


def _activity(item_id: str | None, page: Listed) -> Activity:
    return Activity.model_validate(
        {
            "item_id": item_id,
            "count": len(page.rows),
            "events": page.rows,
            "next_cursor": page.next_cursor,
        }
    )
