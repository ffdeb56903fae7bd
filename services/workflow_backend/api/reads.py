"""Routes that read: the contract for single items, the projection for lists and history."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query

from ..errors import ProjectionMismatch, ProjectionUnavailable
from ..items import FINAL_STATUSES
from ..store.base import EventFilter, ListPage
from .authorization import Reader, item_scope, visible_item
from .backend import BackendDep
from .chain_item import chain_item
from .filters import EventQuery, ItemQuery
from .models import Activity, ItemId, ItemList, ItemView, Summary
from .problems import responses
from .records import event, projected_item
from .waiting_client import WaitingClientDep

router = APIRouter(tags=["items"])

PathId = Annotated[ItemId, Path()]
Wait = Annotated[
    Literal["completed"] | None, Query(description="answer only when the item is settled")
]
Seconds = Annotated[
    float, Query(alias="timeout", gt=0, le=300, description="seconds to wait at most")
]

RECENT_EVENTS = 20


@router.get("/projection/summary", responses=responses(401, 403, 429, 503))
async def get_summary(backend: BackendDep, principal: Reader) -> Summary:
    """Count the projected items, by status too, and their events."""
    scope = item_scope(backend, principal)
    counts = await backend.store.counts(scope)
    return Summary(
        workflow_contract=backend.settings.contract,
        item_count=sum(counts.values()),
        submitted_count=counts["submitted"],
        processing_count=counts["processing"],
        completed_count=counts["completed"],
        failed_count=counts["failed"],
        cancelled_count=counts["cancelled"],
        archived_count=counts["archived"],
        activity_count=await backend.store.event_count(scope),
        last_event_id=(await backend.store.progress()).last_event_id,
    )


@router.get("/items", responses=responses(401, 403, 429, 503))
async def list_items(backend: BackendDep, principal: Reader, query: ItemQuery) -> ItemList:
    """List projected items, newest first; by last change or by id if that is filtered."""
    which = query.to_filter(item_scope(backend, principal, query.client))
    page = await backend.store.items(which, query.limit, query.cursor, query.before)
    items = [projected_item(row) for row in page.rows]
    return ItemList(count=len(items), items=items, next_cursor=page.next_cursor)


@router.get("/items/{item_id}", responses=responses(401, 403, 404, 429, 503))
async def get_item(
    backend: BackendDep,
    principal: Reader,
    client: WaitingClientDep,
    item_id: PathId,
    *,
    wait: Wait = None,
    seconds: Seconds = 30.0,
) -> ItemView:
    """Return the contract's own record of an item, and what the projection has of it."""
    record = await visible_item(backend, principal, item_id)
    if wait and record.status not in FINAL_STATUSES:
        settled = await backend.settlements.wait(item_id, seconds, client)
        if settled is None or settled.status == "archived":
            settled = await visible_item(backend, principal, item_id)
        record = settled
    projected: dict[str, Any] | None = None
    recent: list[dict[str, Any]] = []
    try:
        projected = await backend.store.item(item_id)
        recent = (await backend.store.events(EventFilter(item_id=item_id), RECENT_EVENTS)).rows
    except ProjectionMismatch, ProjectionUnavailable:
        projected = None  # the contract's record stands without it
    return ItemView(
        item=await chain_item(backend, record),
        projection=None if projected is None else projected_item(projected),
        recent_activity=[event(row) for row in recent],
    )


@router.get("/items/{item_id}/activity", responses=responses(401, 403, 404, 429, 503))
async def list_item_events(
    backend: BackendDep, principal: Reader, item_id: PathId, query: EventQuery
) -> Activity:
    """Return an item's events, newest first."""
    which = query.to_filter(item_scope(backend, principal, query.client), item_id)
    page = await backend.store.events(which, query.limit, query.cursor, query.before)
    if not page.rows:
        await visible_item(backend, principal, item_id)
    return _activity(item_id, page)


@router.get("/activity/recent", responses=responses(401, 403, 429, 503))
async def list_events(backend: BackendDep, principal: Reader, query: EventQuery) -> Activity:
    """Return the newest events of all items."""
    which = query.to_filter(item_scope(backend, principal, query.client))
    page = await backend.store.events(which, query.limit, query.cursor, query.before)
    return _activity(None, page)


def _activity(item_id: str | None, page: ListPage) -> Activity:
    return Activity(
        item_id=item_id,
        count=len(page.rows),
        events=[event(row) for row in page.rows],
        next_cursor=page.next_cursor,
    )
