"""The live stream: the projection's events as server-sent events, resumable by their ids.

Each client reads the store behind a place of its own, so a slow one costs no memory and a client
that comes back misses nothing.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request
from fastapi.responses import StreamingResponse

from ..items import START, Place
from .access import Reader
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
    _: Reader,
    request: Request,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Send each event of the contract as it is projected, from now on.

    With `Last-Event-ID` it goes on behind that event; `0` begins at the first.
    """
    place = await _start(used, last_event_id)
    return StreamingResponse(
        _events(used, place, request),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _start(used: Backend, last_event_id: str | None) -> Place:
    if last_event_id is None:
        last_event_id = (await used.store.position()).last_event or "0"
    if last_event_id == "0":
        return START
    try:
        height, tx_index, event_index = (int(part) for part in last_event_id.split("-"))
    except ValueError:
        detail = f"Last-Event-ID must be an event's id or 0, it is {last_event_id!r}"
        raise HTTPException(422, detail) from None
    return Place(height, tx_index, event_index)


async def _events(used: Backend, place: Place, request: Request) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    silent = 0.0
    while not (used.stopping.is_set() or await request.is_disconnected()):
        rows = await used.store.events_after(place, PAGE)
        for row in rows:
            yield _message(row)
        if rows:
            silent = 0.0
            height, tx_index, event_index = (int(part) for part in rows[-1]["id"].split("-"))
            place = Place(height, tx_index, event_index)
            continue
        silent += POLL_SECONDS
        if silent >= KEEP_ALIVE_SECONDS:
            silent = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(POLL_SECONDS)


def _message(row: dict[str, Any]) -> str:
    return f"id: {row['id']}\nevent: {row['event']}\ndata: {json.dumps(row)}\n\n"
