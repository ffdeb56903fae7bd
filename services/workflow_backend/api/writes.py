"""Routes that write: each waits for its block, up to a limit, and says whether it came."""

import asyncio
import contextlib
from collections.abc import Awaitable, Collection
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Response
from pydantic import ValidationError

from ..chain import answers, contract
from ..errors import NodeUnavailable, WalletMissing, WorkflowError
from ..items import FINAL_STATUSES, Item
from .authorization import Canceller, Requester, visible_item
from .backend import Backend, BackendDep
from .chain_item import chain_item
from .models import (
    Accepted,
    BatchEntry,
    BatchOutcome,
    Cancellation,
    Refusal,
    Submission,
    Submissions,
)
from .outcomes import final_answer, pending_answer, refusal, wait_for_block
from .problems import field_errors, public_message, responses, status_of
from .reads import PathId, Seconds, Wait
from .submissions import Prepared, prepare, send, submit
from .tokens import Principal
from .waiting_client import WaitingClientDep

router = APIRouter(tags=["items"])

_READ_ONLY = "The token lacks the scope, or this API has no wallet and only reads"


def _write_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that any write may have, and these."""
    described = responses(401, 403, 413, 415, 429, 503, *statuses)
    described[403]["description"] = _READ_ONLY
    return described


_PENDING: dict[int | str, dict[str, Any]] = {
    202: {
        "model": Accepted,
        "description": "A node has the transaction, which is in no block yet: ask for the item",
    }
}


@router.post("/items", status_code=201, responses={**_PENDING, **_write_responses(409, 502)})
async def submit_item(
    backend: BackendDep,
    principal: Requester,
    client: WaitingClientDep,
    submission: Submission,
    response: Response,
    *,
    wait: Wait = None,
    seconds: Seconds = 30.0,
) -> Accepted:
    """Submit an item: 201 once it is in a block, 202 if that takes longer than ten seconds.

    The answer is 503 as long as no node has the transaction; send the same request again then.
    The same request again gets the first answer again; another one with the same id is refused.
    With `wait=completed` the answer comes when the item is settled, or after `timeout` seconds
    with the item as it was last seen.
    """
    accepted = await submit(backend, principal, submission)
    if not accepted.finalized:
        response.status_code = HTTPStatus.ACCEPTED
    elif wait and accepted.item and accepted.item.status not in FINAL_STATUSES:
        settled = await backend.settlements.wait(submission.item_id, seconds, client)
        with contextlib.suppress(NodeUnavailable):  # it is in a block: no other answer is right
            if settled is None or settled.status == "archived":
                settled = await visible_item(backend, principal, submission.item_id)
            record = settled
            accepted = accepted.model_copy(update={"item": await chain_item(backend, record)})
    return accepted


@router.post("/items/batch", responses=_write_responses())
async def submit_items(
    backend: BackendDep, principal: Requester, submissions: Submissions
) -> BatchOutcome:
    """Submit up to 500 items, each decided by itself; 503 if none could be taken."""
    ids = {item_id for entry in submissions.items if (item_id := _id_of(entry))}
    prepared = await asyncio.gather(
        *(_attempt(_prepare(backend, principal, entry, ids)) for entry in submissions.items)
    )
    answered = await asyncio.gather(
        *(_attempt(_send(backend, principal, each)) for each in prepared)
    )
    results = [
        _result(entry, answer) for entry, answer in zip(submissions.items, answered, strict=True)
    ]
    refusals = [entry.refusal for entry in results if entry.refusal is not None]
    unavailable = [each for each in refusals if each.status == 503]
    if unavailable and len(refusals) == len(results):
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, unavailable[0].detail)
    accepted = len(results) - len(refusals)
    return BatchOutcome(accepted=accepted, refused=len(refusals), results=results)


@router.post("/items/{item_id}/cancel", responses={**_PENDING, **_write_responses(404, 409, 502)})
async def cancel_item(
    backend: BackendDep,
    principal: Canceller,
    item_id: PathId,
    response: Response,
    cancellation: Annotated[Cancellation, Body(default_factory=Cancellation)],
) -> Accepted:
    """Cancel a submitted item."""
    record = await visible_item(backend, principal, item_id)
    action = contract.cancel(record, cancellation.reason)
    return await _act(backend, principal, record, action, response)


@router.post("/items/{item_id}/retry", responses={**_PENDING, **_write_responses(404, 409, 502)})
async def retry_item(
    backend: BackendDep, principal: Canceller, item_id: PathId, response: Response
) -> Accepted:
    """Make a failed item claimable again."""
    record = await visible_item(backend, principal, item_id)
    return await _act(backend, principal, record, contract.retry(record), response)


@router.post("/items/{item_id}/stop", responses={**_PENDING, **_write_responses(404, 409, 502)})
async def stop_item(
    backend: BackendDep,
    principal: Canceller,
    item_id: PathId,
    response: Response,
    reason: Annotated[Cancellation, Body(default_factory=Cancellation)],
) -> Accepted:
    """Ask the worker that holds an item to stop; a submitted item is cancelled at once.

    What the worker has done until it hears of it still counts. Nobody runs the item again.
    """
    record = await visible_item(backend, principal, item_id)
    action = contract.stop(record, reason.reason)
    return await _act(backend, principal, record, action, response)


def _id_of(entry: Any) -> str | None:
    item_id = entry.get("item_id") if isinstance(entry, dict) else None
    return item_id if isinstance(item_id, str) else None


async def _prepare(
    backend: Backend, principal: Principal, entry: Any, siblings: Collection[str]
) -> Prepared:
    return await prepare(backend, principal, Submission.model_validate(entry), siblings)


async def _send(
    backend: Backend, principal: Principal, prepared: Prepared | Refusal
) -> Accepted | Refusal:
    if isinstance(prepared, Refusal):
        return prepared
    return await send(backend, principal, prepared)


async def _attempt[T](attempt: Awaitable[T]) -> T | Refusal:
    """Return what an entry comes to, or why it is refused."""
    try:
        return await attempt
    except WalletMissing:
        raise  # that is no fault of an entry
    except ValidationError as error:
        errors = field_errors(error.errors(), skip=0)
        named = ", ".join(each.field or "entry" for each in errors)
        status = HTTPStatus.UNPROCESSABLE_CONTENT
        return Refusal(status=status, detail=f"not valid: {named}", errors=errors)
    except HTTPException as error:
        return Refusal(status=error.status_code, detail=error.detail, errors=[])
    except WorkflowError as error:
        return Refusal(status=status_of(error), detail=public_message(error), errors=[])


def _result(entry: Any, answer: Accepted | Refusal) -> BatchEntry:
    item_id = _id_of(entry)
    if isinstance(answer, Refusal):
        return BatchEntry(item_id=item_id, accepted=None, refusal=answer)
    return BatchEntry(item_id=item_id, accepted=answer, refusal=None)


async def _act(
    backend: Backend,
    principal: Principal,
    record: Item,
    action: contract.Action,
    response: Response,
) -> Accepted:
    """Send an action on an existing item and answer once it is in a block."""
    item_id = record.item_id
    if record.status not in answers.STATUSES_BEFORE[action.name]:  # spares a transaction in vain
        raise refusal(item_id, "state", f"the item is {record.status}")
    if needed := contract.required_capabilities(action):
        await backend.node.require(needed)
    pending = backend.submitter.enqueue(action, principal.name)
    outcome = await wait_for_block(backend.submitter, pending)
    if outcome is None:
        response.status_code = HTTPStatus.ACCEPTED
        return pending_answer(pending)
    if not outcome.ok:
        raise refusal(item_id, outcome.code, outcome.message)
    return await final_answer(backend, item_id, outcome.tx_hash, outcome.item)
