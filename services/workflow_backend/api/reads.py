"""Routes that read: the chain for what is authoritative, the projection for lists and history."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Query

from ..errors import IndexUnavailable, NodeUnavailable, ProjectionUnavailable, WorkflowError
from ..items import Item
from ..store.base import EventFilter, ItemFilter
from .backend import Backend, backend
from .models import Activity, Health, ItemList, ItemView, ProjectionHealth, Status, Summary
from .problems import responses

router = APIRouter()

Used = Annotated[Backend, Depends(backend)]
Limit = Annotated[int, Query(ge=1, le=500)]
PathId = Annotated[str, Path(max_length=128, pattern=r"^[A-Za-z0-9_-]+\z")]

RECENT = 20
LAG_LIMIT = 20


@router.get("/health", responses=responses(503))
async def health(used: Used) -> Health:
    """Tell whether this API can do its work; degraded where a part of it can't be reached."""
    problems: list[str] = []
    found: dict[str, int | None] = dict.fromkeys(("height", "indexed_height", "projected_height"))
    try:
        found["height"] = (await used.node.require_chain(used.settings.chain_id)).height
        index = await used.node.index_status()
        found["indexed_height"] = index.height
        if not index.healthy:
            problems.append(f"the index is not healthy: {index.problem or 'no reason given'}")
    except WorkflowError as error:
        problems.append(str(error))
    try:
        found["projected_height"] = (await used.store.position()).height
    except WorkflowError as error:
        problems.append(str(error))
    return Health(
        status="degraded" if problems else "ok",
        chain_id=used.settings.chain_id,
        contract=used.settings.contract,
        requester=used.submitter.address,
        problems=problems,
        **found,
    )


@router.get("/projection/health", responses=responses(503))
async def projection_health(used: Used) -> ProjectionHealth:
    """Tell how level the projection is with the index."""
    position = await used.store.position()
    indexed: int | None = None
    try:
        indexed = (await used.node.index_status()).height
    except NodeUnavailable, IndexUnavailable:
        indexed = None  # the projection is readable without them: the answer says so by null
    lag = None if indexed is None else max(0, indexed - position.height)
    return ProjectionHealth(
        healthy=lag is not None and lag <= LAG_LIMIT,
        indexed_height=indexed,
        lag=lag,
        **asdict(position),
    )


@router.get("/projection/summary", responses=responses(503))
async def summary(used: Used) -> Summary:
    """Count the projected items by status."""
    counts = await used.store.counts()
    return Summary(**counts, total=sum(counts.values()))


@router.get("/items", responses=responses(422, 503))
async def items(
    used: Used, status: Status | None = None, limit: Limit = 100, cursor: str | None = None
) -> ItemList:
    """List projected items, newest first."""
    page = await used.store.items(ItemFilter(status=status), limit, cursor)
    return ItemList.model_validate(
        {"count": len(page.rows), "items": page.rows, "next_cursor": page.next_cursor}
    )


@router.get("/items/{item_id}", responses=responses(404, 422, 503))
async def item(used: Used, item_id: PathId) -> ItemView:
    """Return the contract's own record of an item, and what the projection has of it."""
    record = await required_item(used, item_id)
    projected, recent = None, []
    try:
        projected = await used.store.item(item_id)
        recent = (await used.store.events(EventFilter(item_id=item_id), RECENT)).rows
    except ProjectionUnavailable:
        projected = None  # the authoritative read stands without it
    return ItemView.model_validate(
        {"item": record.as_dict(), "projection": projected, "recent_activity": recent}
    )


@router.get("/items/{item_id}/activity", responses=responses(404, 422, 503))
async def item_activity(used: Used, item_id: PathId, limit: Limit = 100) -> Activity:
    """Return an item's events, newest first."""
    rows = (await used.store.events(EventFilter(item_id=item_id), limit)).rows
    if not rows:
        await required_item(used, item_id)
    return Activity.model_validate({"item_id": item_id, "count": len(rows), "events": rows})


@router.get("/activity/recent", responses=responses(422, 503))
async def recent_activity(used: Used, limit: Limit = 50) -> Activity:
    """Return the last events of all items, newest first."""
    rows = (await used.store.events(EventFilter(), limit)).rows
    return Activity.model_validate({"item_id": None, "count": len(rows), "events": rows})


async def required_item(used: Backend, item_id: str) -> Item:
    """Return the contract's record; raises the 404 where there is none."""
    record = await used.node.item(item_id)
    if record is None:
        raise HTTPException(404, f"no item {item_id!r} on {used.settings.contract}")
    return record
