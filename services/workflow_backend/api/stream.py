"""The live stream: the projection's events as server-sent events, resumable by their ids.

Each client has a position of its own in the feed, so a slow one costs no memory and one that comes
back misses nothing. Messages are encoded once for all streams (see `feed`), which an SSE library
that encodes for each client could not do; the protocol itself is the few lines below.
"""

import logging
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Request
from fastapi.responses import StreamingResponse

from ..errors import WorkflowError
from ..items import START, EventPosition
from .authorization import Reader, client_key, item_scope, resolve_principal
from .backend import Backend, BackendDep
from .problems import RETRY_SECONDS, responses
from .tokens import Principal

log = logging.getLogger(__name__)

router = APIRouter(tags=["events"])

MAX_STREAMS_PER_CLIENT = 256
KEEP_ALIVE_SECONDS = 15.0


async def _count_stream(
    backend: BackendDep, principal: Reader, request: Request
) -> AsyncIterator[None]:
    """Count a client's stream while it is open; raises the 429 beyond the limit."""
    client = client_key(principal, request)
    if backend.open_streams[client] >= MAX_STREAMS_PER_CLIENT:
        detail = f"{MAX_STREAMS_PER_CLIENT} streams of this client are open already"
        raise HTTPException(429, detail, headers={"Retry-After": str(RETRY_SECONDS)})
    backend.open_streams[client] += 1
    try:
        yield
    finally:
        backend.open_streams[client] -= 1
        if not backend.open_streams[client]:
            del backend.open_streams[client]


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "Events as they are projected"},
        **responses(401, 403, 429, 503),
    },
    dependencies=[Depends(_count_stream)],
)
async def stream_events(
    backend: BackendDep,
    principal: Reader,
    request: Request,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Send each event of the contract as it is projected, from now on.

    With `Last-Event-ID` the stream goes on after that event; `0` begins at the first. An id that is
    not of this contract on this chain is refused with 422.
    """
    position = await _start(backend, last_event_id)
    return StreamingResponse(
        _events(backend, principal, request, position),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _start(backend: Backend, last_event_id: str | None) -> EventPosition:
    if last_event_id is None:
        newest = (await backend.store.progress()).last_event_id
        return EventPosition.parse(newest) if newest else START
    if last_event_id == "0":
        return START
    try:
        position = EventPosition.parse(last_event_id.partition(".")[0])
    except ValueError:
        detail = f"Last-Event-ID must be an event's id or 0, it is {last_event_id!r}"
        raise HTTPException(422, detail) from None
    if not await _is_of_this_history(backend, position, last_event_id):
        detail = (
            f"Last-Event-ID {last_event_id!r} is not an event of {backend.settings.contract} on "
            f"{backend.settings.chain_id} as it is now: begin without it, or with 0"
        )
        raise HTTPException(422, detail)
    return position


async def _is_of_this_history(backend: Backend, position: EventPosition, cursor: str) -> bool:
    """Tell whether a cursor is of this chain's history; a bare id needs an event to be there."""
    if "." not in cursor:
        return await backend.store.has_event(position)
    block = await backend.store.block(position.height)
    if block is None:  # another host's projection may be ahead of this one's
        block = (await backend.blocks.committed({position.height})).get(position.height)
    settings = backend.settings
    return block is not None and cursor == position.cursor(
        settings.chain_id, settings.contract, block.hash
    )


async def _events(
    backend: Backend, principal: Principal, request: Request, position: EventPosition
) -> AsyncIterator[bytes]:
    """Yield messages until the API stops, the token is revoked, or something can't be read.

    The client then comes back, and its request is answered with the reason.
    """
    scope = item_scope(backend, principal)
    yield b"retry: 1000\n\n"
    sent_at = time.monotonic()
    while not backend.stopping.is_set():
        try:
            if resolve_principal(backend, request) != principal:
                return
            messages, position, has_more = await backend.feed.read(position, scope)
        except WorkflowError as error:
            log.info("a stream ends: %s", error)
            return
        if messages:
            sent_at = time.monotonic()
            yield messages
        elif time.monotonic() - sent_at > KEEP_ALIVE_SECONDS:
            sent_at = time.monotonic()
            yield b": keep-alive\n\n"
        if not has_more:
            await backend.feed.wait()
