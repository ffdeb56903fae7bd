"""Routes that write: they wait for the block, up to a limit, and say whether it came."""

import asyncio
from http import HTTPStatus

from fastapi import APIRouter, HTTPException, Response

from ..chain import contract
from ..chain.submitter import Ticket
from ..errors import ProjectionUnavailable
from ..items import Item, Outcome
from ..store.base import EventFilter
from .backend import Backend
from .models import Accepted, Cancellation, ItemRecord, Submission
from .problems import responses
from .reads import PathId, Used, required_item

router = APIRouter()

WAIT_SECONDS = 10.0

_REFUSALS = {
    "invalid": HTTPStatus.UNPROCESSABLE_CONTENT,
    "exists": HTTPStatus.CONFLICT,
    "missing": HTTPStatus.NOT_FOUND,
    "state": HTTPStatus.CONFLICT,
    "forbidden": HTTPStatus.FORBIDDEN,
}


@router.post("/items", status_code=201, responses=responses(409, 413, 422, 502, 503))
async def submit(used: Used, submission: Submission, response: Response) -> Accepted:
    """Submit an item: 201 once it is in a block, 202 where that takes longer than ten seconds.

    The same request again answers as the first time; another one with the same id is refused.
    """
    ticket = used.submitter.enqueue(contract.submit(**submission.model_dump()))
    outcome = await _decided(ticket)
    if outcome is None:
        return _pending(submission.item_id, ticket, response)
    if outcome.ok:
        used.remember(submission.item_id, outcome.tx_hash)
        return _accepted(submission.item_id, outcome.tx_hash, outcome.item)
    if outcome.code == "exists":
        record = await required_item(used, submission.item_id)
        if record.requester == used.submitter.address and _same(record, submission):
            return _accepted(submission.item_id, await _first_tx(used, record.item_id), record)
    raise _refused(outcome)


@router.post("/items/{item_id}/cancel", responses=responses(403, 404, 409, 413, 422, 502, 503))
async def cancel(
    used: Used, item_id: PathId, response: Response, cancellation: Cancellation | None = None
) -> Accepted:
    """Cancel a submitted item that was submitted through this API."""
    record = await required_item(used, item_id)
    reason = cancellation.reason if cancellation else ""
    ticket = used.submitter.enqueue(contract.cancel(record, reason))
    outcome = await _decided(ticket)
    if outcome is None:
        return _pending(item_id, ticket, response)
    if not outcome.ok:
        raise _refused(outcome)
    return _accepted(item_id, outcome.tx_hash, outcome.item)


async def _decided(ticket: Ticket) -> Outcome | None:
    try:
        return await asyncio.wait_for(ticket.outcome(), WAIT_SECONDS)
    except TimeoutError:
        return None


def _pending(item_id: str, ticket: Ticket, response: Response) -> Accepted:
    response.status_code = HTTPStatus.ACCEPTED
    return Accepted(item_id=item_id, tx_hash=ticket.tx_hash, finalized=False, item=None)


def _accepted(item_id: str, tx_hash: str | None, record: Item | None) -> Accepted:
    item = ItemRecord.model_validate(record.as_dict()) if record else None
    return Accepted(item_id=item_id, tx_hash=tx_hash, finalized=True, item=item)


def _same(record: Item, submission: Submission) -> bool:
    return all(getattr(record, name) == value for name, value in submission.model_dump().items())


async def _first_tx(used: Backend, item_id: str) -> str | None:
    if item_id in used.recent:
        return used.recent[item_id]
    try:
        events = (await used.store.events(EventFilter(item_id=item_id), 500)).rows
    except ProjectionUnavailable:
        return None
    return events[-1]["tx_hash"] if events else None


def _refused(outcome: Outcome) -> HTTPException:
    status = _REFUSALS.get(outcome.code, HTTPStatus.CONFLICT)
    return HTTPException(status, f"item {outcome.item_id}: {outcome.message}")
