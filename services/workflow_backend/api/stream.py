"""The live stream: the projection's events as server-sent events, resumable by their ids.

Each client has a place of its own in the feed, so a slow one costs no memory and a client that
comes back misses nothing.
"""

import logging
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Request
from fastapi.responses import StreamingResponse

from ..errors import WorkflowError
from ..items import START, Place
from .access import Reader, known, name_of, whose
from .backend import Backend, Used
from .problems import RETRY_SECONDS, responses
from .tokens import Principal

log = logging.getLogger(__name__)

router = APIRouter(tags=["events"])

MOST_PER_CLIENT = 256
KEEP_ALIVE_SECONDS = 15.0


async def _one_more(used: Used, who: Reader, request: Request) -> AsyncIterator[None]:
    """Count a client's streams while the answer lasts; raises the 429 of one too many."""
    name = name_of(who, request)
    if used.streams[name] >= MOST_PER_CLIENT:
        detail = f"{MOST_PER_CLIENT} streams of this client are open already"
        raise HTTPException(429, detail, headers={"Retry-After": str(RETRY_SECONDS)})
    used.streams[name] += 1
    try:
        yield
    finally:
        used.streams[name] -= 1
        if not used.streams[name]:
            del used.streams[name]


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "Events as they are projected"},
        **responses(401, 403, 429, 503),
    },
    dependencies=[Depends(_one_more)],
)
async def stream_events(
    used: Used,
    who: Reader,
    request: Request,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Send each event of the contract as it is projected, from now on.

    With `Last-Event-ID` it goes on behind that event; `0` begins at the first. An id that is none
    of this contract's on this chain is refused with 422.
    """
    place = await _start(used, last_event_id)
    return StreamingResponse(
        _events(used, who, request, place),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _start(used: Backend, last_event_id: str | None) -> Place:
    if last_event_id is None:
        last_event = (await used.store.position()).last_event
        return Place.parse(last_event) if last_event else START
    if last_event_id == "0":
        return START
    try:
        place = Place.parse(last_event_id.partition(".")[0])
    except ValueError:
        detail = f"Last-Event-ID must be an event's id or 0, it is {last_event_id!r}"
        raise HTTPException(422, detail) from None
    if not await _is_ours(used, place, last_event_id):
        detail = (
            f"Last-Event-ID {last_event_id!r} is no event of {used.settings.contract} on "
            f"{used.settings.chain_id} as it is now: begin without it, or with 0"
        )
        raise HTTPException(422, detail)
    return place


async def _is_ours(used: Backend, place: Place, cursor: str) -> bool:
    """Tell whether a place is one of this history; without a mark an event has to be there."""
    if "." not in cursor:
        return await used.store.has_event(place)
    block = await used.store.block(place.height)
    if block is None:  # another host's projection may be ahead of this one's
        block = (await used.blocks.committed({place.height})).get(place.height)
    settings = used.settings
    return block is not None and cursor == place.cursor(
        settings.chain_id, settings.contract, block.hash
    )


async def _events(
    used: Backend, who: Principal, request: Request, place: Place
) -> AsyncIterator[bytes]:
    """Yield events until the API stops or the token is not what it was.

    Where something can't be read the stream ends: the client comes back, and is told what it is.
    """
    seen = whose(used, who)
    yield b"retry: 1000\n\n"
    said = time.monotonic()
    while not used.stopping.is_set():
        try:
            if known(used, request) != who:
                return
            found, place, more = await used.feed.turn(place, seen)
        except WorkflowError as error:
            log.info("a stream ends: %s", error)
            return
        if found:
            said = time.monotonic()
            yield found
        elif time.monotonic() - said > KEEP_ALIVE_SECONDS:
            said = time.monotonic()
            yield b": still here\n\n"
        if not more:
            await used.feed.wait()
