"""Routes that write: they wait for the block, up to a limit, and say whether it came."""

import asyncio
import contextlib
import time
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Response
from pydantic import ValidationError

from ..chain import contract
from ..chain.submitter import Submitter
from ..chain.tickets import Ticket
from ..errors import (
    IndexUnavailable,
    NodeUnavailable,
    ProjectionMismatch,
    ProjectionUnavailable,
    WalletMissing,
    WorkflowError,
)
from ..items import SETTLED, Item, Outcome
from ..store.base import EventFilter
from ..times import parse
from .access import Canceller, Requester, seen_item, sees
from .authority import chain_item
from .backend import Backend, Used
from .caller import CallerDep
from .models import (
    Accepted,
    BatchEntry,
    BatchOutcome,
    Cancellation,
    ItemRecord,
    Refusal,
    Submission,
    Submissions,
)
from .problems import field_errors, responses, status_of, told
from .reads import PathId, Seconds, Wait
from .tokens import Principal

router = APIRouter(tags=["items"])

WAIT_SECONDS = 10.0
INDEX_LOOK_SECONDS = 0.1

_REFUSALS = {
    "invalid": HTTPStatus.UNPROCESSABLE_CONTENT,
    "exists": HTTPStatus.CONFLICT,
    "missing": HTTPStatus.NOT_FOUND,
    "state": HTTPStatus.CONFLICT,
    "forbidden": HTTPStatus.FORBIDDEN,
}

_NO_WRITING = "The token lacks the scope, or this API has no wallet and only reads"


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe what any write may be refused with, and these."""
    described = responses(401, 403, 413, 415, 429, 503, *statuses)
    described[403]["description"] = _NO_WRITING
    return described


_PENDING: dict[int | str, dict[str, Any]] = {
    202: {
        "model": Accepted,
        "description": "A node has the transaction, which is in no block yet: ask for the item",
    }
}


@router.post(
    "/items",
    status_code=201,
    responses={**_PENDING, **_refusals(409, 502)},
)
async def submit_item(
    used: Used,
    who: Requester,
    caller: CallerDep,
    submission: Submission,
    response: Response,
    *,
    wait: Wait = None,
    seconds: Seconds = 30.0,
) -> Accepted:
    """Submit an item: 201 once it is in a block, 202 where that takes longer than ten seconds.

    Before a node has its transaction there is nothing but 503, and the same request again is right.
    The same request again answers as the first time; another one with the same id is refused.
    With `wait=completed` the answer comes when the item is settled, or after `timeout` seconds
    with the item as it is then, or was last while the node was there.
    """
    accepted = await _submit(used, who, submission)
    if not accepted.finalized:
        response.status_code = HTTPStatus.ACCEPTED
    elif wait and accepted.item and accepted.item.status not in SETTLED:
        settled = await used.waiting.settled(submission.item_id, seconds, caller)
        with contextlib.suppress(NodeUnavailable):  # it is in a block: no other answer is right
            record = settled or await seen_item(used, who, submission.item_id)
            accepted = accepted.model_copy(update={"item": await chain_item(used, record)})
    return accepted


@router.post("/items/batch", responses=_refusals())
async def submit_items(used: Used, who: Requester, submissions: Submissions) -> BatchOutcome:
    """Submit up to 500 items and say of each what became of it; 503 where none could be taken."""
    results = await asyncio.gather(*(_entry(used, who, entry) for entry in submissions.items))
    refusals = [entry.refusal for entry in results if entry.refusal is not None]
    unavailable = [refusal for refusal in refusals if refusal.status == 503]
    if unavailable and len(refusals) == len(results):
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, unavailable[0].detail)
    accepted = len(results) - len(refusals)
    return BatchOutcome(accepted=accepted, refused=len(refusals), results=results)


@router.post(
    "/items/{item_id}/cancel",
    responses={**_PENDING, **_refusals(404, 409, 502)},
)
async def cancel_item(
    used: Used,
    who: Canceller,
    item_id: PathId,
    response: Response,
    cancellation: Annotated[Cancellation, Body(default_factory=Cancellation)],
) -> Accepted:
    """Cancel a submitted item."""
    record = await seen_item(used, who, item_id)
    action = contract.cancel(record, cancellation.reason)
    return await _directed(used, who, record, action, response)


@router.post(
    "/items/{item_id}/retry",
    responses={**_PENDING, **_refusals(404, 409, 502)},
)
async def retry_item(used: Used, who: Canceller, item_id: PathId, response: Response) -> Accepted:
    """Make a failed item claimable again."""
    record = await seen_item(used, who, item_id)
    return await _directed(used, who, record, contract.retry(record), response)


async def _entry(used: Backend, who: Principal, entry: Any) -> BatchEntry:
    accepted = refusal = None
    try:
        accepted = await _submit(used, who, Submission.model_validate(entry))
    except WalletMissing:
        raise  # that is no fault of an entry
    except ValidationError as error:
        errors = field_errors(error.errors(), place=0)
        named = ", ".join(each.field or "entry" for each in errors)
        status = HTTPStatus.UNPROCESSABLE_CONTENT
        refusal = Refusal(status=status, detail=f"not valid: {named}", errors=errors)
    except HTTPException as error:
        refusal = Refusal(status=error.status_code, detail=error.detail, errors=[])
    except WorkflowError as error:
        refusal = Refusal(status=status_of(error), detail=told(error), errors=[])
    item_id = entry.get("item_id") if isinstance(entry, dict) else None
    return BatchEntry(
        item_id=item_id if isinstance(item_id, str) else None, accepted=accepted, refusal=refusal
    )


async def _submit(used: Backend, who: Principal, submission: Submission) -> Accepted:
    submitter = used.submitter
    if await _is_known(used, submission.item_id):  # to ask the chain again would cost a transaction
        record = await used.node.item(submission.item_id)
        if record is not None:
            return await _submitted_before(used, who, submission, record)
    action = contract.submit(**submission.model_dump(), client=who.name)
    ticket = submitter.enqueue(action, who.name)
    outcome = await _decided(submitter, ticket)
    if outcome is None:
        return _pending(ticket)
    if outcome.ok:
        used.remember(submission.item_id, outcome.tx_hash)
        return await _accepted(used, submission.item_id, outcome.tx_hash, outcome.item)
    if outcome.code == "exists":
        record = await used.node.item(submission.item_id)
        if record is not None:
            return await _submitted_before(used, who, submission, record)
    raise _refused(submission.item_id, outcome.code, outcome.message)


async def _is_known(used: Backend, item_id: str) -> bool:
    """Tell whether an item of this id is known here, without a question to the node."""
    if item_id in used.recent:
        return True
    try:
        return await used.store.item(item_id) is not None
    except ProjectionMismatch, ProjectionUnavailable:
        return False


async def _submitted_before(
    used: Backend, who: Principal, submission: Submission, record: Item
) -> Accepted:
    """Answer as the first time where this is the same request again, else refuse it."""
    if not _is_same(used, who, record, submission):
        raise _refused(record.item_id, *contract.EXISTS)
    return await _accepted(used, record.item_id, await _first_tx(used, record), record)


async def _directed(
    used: Backend, who: Principal, record: Item, action: contract.Action, response: Response
) -> Accepted:
    item_id = record.item_id
    if record.status != contract.STATUS_BEFORE[action.name]:  # the chain would say so in a block
        raise _refused(item_id, "state", f"the item is {record.status}")
    ticket = used.submitter.enqueue(action, who.name)
    outcome = await _decided(used.submitter, ticket)
    if outcome is None:
        response.status_code = HTTPStatus.ACCEPTED
        return _pending(ticket)
    if not outcome.ok:
        raise _refused(item_id, outcome.code, outcome.message)
    return await _accepted(used, item_id, outcome.tx_hash, outcome.item)


async def _decided(submitter: Submitter, ticket: Ticket) -> Outcome | None:
    """Wait for what the chain decides; None where a node has the transaction and no block has.

    Raises the 503 where no node is known to have it: what lies in this process only is gone with
    it, so nothing may be promised.
    """
    try:
        return await asyncio.wait_for(ticket.outcome(), WAIT_SECONDS)
    except TimeoutError:
        if ticket.tx_hash is not None:
            return None
    if submitter.withdraw(ticket):
        detail = f"no node took it within {WAIT_SECONDS:g} s: nothing was done"
    else:
        detail = (
            f"no node confirmed within {WAIT_SECONDS:g} s that it has it: "
            "it may be done nevertheless"
        )
    raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail)


def _pending(ticket: Ticket) -> Accepted:
    return Accepted(
        item_id=ticket.action.item_id, tx_hash=ticket.tx_hash, finalized=False, item=None
    )


async def _accepted(
    used: Backend, item_id: str, tx_hash: str | None, record: Item | None
) -> Accepted:
    item: ItemRecord | None = None
    with contextlib.suppress(NodeUnavailable):  # it is in a block: no other answer is right
        item = await chain_item(used, record) if record else None
    return Accepted(item_id=item_id, tx_hash=tx_hash, finalized=True, item=item)


def _is_same(used: Backend, who: Principal, record: Item, submission: Submission) -> bool:
    """Tell whether an item is what this principal asks for, submitted through us or our like."""
    ours = record.requester in used.requesters and sees(used, who, record)
    content = submission.model_dump().items()
    return ours and all(getattr(record, name) == value for name, value in content)


async def _first_tx(used: Backend, record: Item) -> str | None:
    """Return the transaction that submitted an item; None where no index goes back to it.

    The projection knows at once what the index has known for a moment. Raises WorkflowError where
    neither can tell in time: to ask again is better than another answer than the first.
    """
    if record.item_id in used.recent:
        return used.recent[record.item_id]
    try:
        found = await _projected_tx(used, record)
    except ProjectionMismatch, ProjectionUnavailable:
        found = None
    return found or await _indexed_tx(used, record.item_id)


async def _projected_tx(used: Backend, record: Item) -> str | None:
    """Return the transaction of the oldest submission, None where that is not the first.

    An item is submitted again whenever it is retried or given back, and a projection of an index
    that begins late may know of such a submission only.
    """
    submitted = EventFilter(item_id=record.item_id, name="ItemSubmitted")
    page = await used.store.events(submitted, 500)
    while page.next_cursor is not None:
        page = await used.store.events(submitted, 500, page.next_cursor)
    if not page.rows or parse(page.rows[-1]["created_at"]) != parse(record.created_at):
        return None
    return str(page.rows[-1]["tx_hash"])


async def _indexed_tx(used: Backend, item_id: str) -> str | None:
    height = (await used.node.status()).height
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        indexed = await used.node.indexed_height()
        found = await used.node.submission(item_id)
        if found or indexed >= height:
            return found
        if time.monotonic() > deadline:
            raise IndexUnavailable(f"the index is at height {indexed}, the chain at {height}")
        await asyncio.sleep(INDEX_LOOK_SECONDS)


def _refused(item_id: str, code: str, message: str) -> HTTPException:
    status = _REFUSALS.get(code, HTTPStatus.CONFLICT)
    return HTTPException(status, f"item {item_id}: {message}")
