"""The live stream: the projection's events as server-sent events, resumable by their ids.

Each client reads the store behind a place of its own, so a slow one costs no memory and a client
that comes back misses nothing.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request
from fastapi.responses import StreamingResponse

from ..errors import TokensUnavailable
from ..items import START, Place
from ..store.base import Store, Whose
from .access import Reader, Shown, known, whose
from .backend import Backend, Used
from .problems import responses

router = APIRouter()

PAGE = 500
POLL_SECONDS = 0.1
KEEP_ALIVE_SECONDS = 15.0


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "Events as they are projected"},
        **responses(401, 403, 422, 429, 503),
    },
)
async def stream(
    used: Used,
    who: Reader,
    shown: Shown,
    request: Request,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Send each event of the contract as it is projected, from now on.

    With `Last-Event-ID` it goes on behind that event; `0` begins at the first.
    """
    place = await _start(used, last_event_id)

    async def is_over() -> bool:
        """Tell whether the API ends, the client has gone, or its token is not what it was."""
        if used.stopping.is_set() or await request.is_disconnected():
            return True
        try:
            return known(used, shown) != who
        except TokensUnavailable:
            return True

    return StreamingResponse(
        _events(used.store, place, whose(used, who), is_over),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _start(used: Backend, last_event_id: str | None) -> Place:
    if last_event_id is None:
        last_event_id = (await used.store.position()).last_event or "0"
    if last_event_id == "0":
        return START
    try:
        return Place.parse(last_event_id)
    except ValueError:
        detail = f"Last-Event-ID must be an event's id or 0, it is {last_event_id!r}"
        raise HTTPException(422, detail) from None


async def _events(
    store: Store, place: Place, seen: Whose | None, is_over: Callable[[], Awaitable[bool]]
) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    said = time.monotonic()
    while not await is_over():
        rows = await store.events_after(place, PAGE)
        for row in rows:
            if seen is None or seen.has(row):
                yield _message(row)
                said = time.monotonic()
        if rows:
            place = Place.parse(rows[-1]["id"])
        if time.monotonic() - said > KEEP_ALIVE_SECONDS:
            said = time.monotonic()
            yield ": still here\n\n"
        # Of events that this client may not see there may be many: others have their turn.
        await asyncio.sleep(0 if rows else POLL_SECONDS)


def _message(row: dict[str, Any]) -> str:
    return f"id: {row['id']}\nevent: {row['event']}\ndata: {json.dumps(row)}\n\n"
