"""Routes that read: the chain for what is authoritative, the projection for lists and history."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query

from ..errors import ProjectionMismatch, ProjectionUnavailable
from ..items import SETTLED
from ..store.base import EventFilter, Listed
from .access import Reader, seen_item, whose
from .authority import chain_item
from .backend import Used
from .caller import CallerDep
from .filters import EventsAsked, ItemsAsked
from .models import Activity, ItemId, ItemList, ItemView, Summary
from .problems import responses
from .records import event, projected_item

router = APIRouter(tags=["items"])

PathId = Annotated[ItemId, Path()]
Wait = Annotated[
    Literal["completed"] | None, Query(description="answer only when the item is settled")
]
Seconds = Annotated[
    float, Query(alias="timeout", gt=0, le=300, description="seconds to wait at most")
]

RECENT = 20


@router.get("/projection/summary", responses=responses(401, 403, 429, 503))
async def get_summary(used: Used, who: Reader) -> Summary:
    """Count the projected items by status."""
    counts = await used.store.counts(whose(used, who))
    return Summary(**counts, total=sum(counts.values()))


@router.get("/items", responses=responses(401, 403, 429, 503))
async def list_items(used: Used, who: Reader, asked: ItemsAsked) -> ItemList:
    """List projected items, newest first; by last change or by id where that is asked for."""
    which = asked.which(whose(used, who, asked.client))
    page = await used.store.items(which, asked.limit, asked.cursor)
    found = [projected_item(row) for row in page.rows]
    return ItemList(count=len(found), items=found, next_cursor=page.next_cursor)


@router.get("/items/{item_id}", responses=responses(401, 403, 404, 429, 503))
async def get_item(
    used: Used,
    who: Reader,
    caller: CallerDep,
    item_id: PathId,
    *,
    wait: Wait = None,
    seconds: Seconds = 30.0,
) -> ItemView:
    """Return the contract's own record of an item, and what the projection has of it."""
    record = await seen_item(used, who, item_id)
    if wait and record.status not in SETTLED:
        settled = await used.waiting.settled(item_id, seconds, caller)
        record = settled or await seen_item(used, who, item_id)
    projected: dict[str, Any] | None = None
    recent: list[dict[str, Any]] = []
    try:
        projected = await used.store.item(item_id)
        recent = (await used.store.events(EventFilter(item_id=item_id), RECENT)).rows
    except ProjectionMismatch, ProjectionUnavailable:
        projected = None  # the authoritative read stands without it
    return ItemView(
        item=await chain_item(used, record),
        projection=None if projected is None else projected_item(projected),
        recent_activity=[event(row) for row in recent],
    )


@router.get("/items/{item_id}/activity", responses=responses(401, 403, 404, 429, 503))
async def list_item_events(
    used: Used, who: Reader, item_id: PathId, asked: EventsAsked
) -> Activity:
    """Return an item's events, newest first."""
    which = asked.which(whose(used, who, asked.client), item_id)
    page = await used.store.events(which, asked.limit, asked.cursor)
    if not page.rows:
        await seen_item(used, who, item_id)
    return _activity(item_id, page)


@router.get("/activity/recent", responses=responses(401, 403, 429, 503))
async def list_events(used: Used, who: Reader, asked: EventsAsked) -> Activity:
    """Return the last events of all items, newest first."""
    which = asked.which(whose(used, who, asked.client))
    return _activity(None, await used.store.events(which, asked.limit, asked.cursor))


def _activity(item_id: str | None, page: Listed) -> Activity:
    return Activity(
        item_id=item_id,
        count=len(page.rows),
        events=[event(row) for row in page.rows],
        next_cursor=page.next_cursor,
    )
