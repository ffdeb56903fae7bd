"""Submissions, idempotent by item id: the same request again gets the first answer again."""

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import HTTPException

from ..chain import answers, contract
from ..chain.submitter import Submitter
from ..errors import IndexUnavailable, ProjectionMismatch, ProjectionUnavailable
from ..items import Item
from ..store.base import EventFilter
from ..times import parse
from .authorization import can_see, whole_item, whole_items
from .backend import Backend
from .models import Accepted, Submission
from .outcomes import final_answer, pending_answer, refusal, wait_for_block
from .tokens import Principal

INDEX_WAIT_SECONDS = 10.0
INDEX_POLL_SECONDS = 0.1
EVENT_PAGE = 500


@dataclass(frozen=True, slots=True)
class Prepared:
    """A submission that was looked at: what to send, or the first answer to it, repeated."""

    submitter: Submitter
    submission: Submission
    action: contract.Action
    repeated: Accepted | None


async def submit(backend: Backend, principal: Principal, submission: Submission) -> Accepted:
    """Submit an item, or repeat the first answer; raises HTTPException for a refusal."""
    return await send(backend, principal, await prepare(backend, principal, submission))


async def prepare(
    backend: Backend,
    principal: Principal,
    submission: Submission,
    siblings: Collection[str] = (),
) -> Prepared:
    """Look whether a submission can be sent, and need be; raises HTTPException.

    `siblings` are ids that the same request names: a submission may come after those of them that
    are not there yet.
    """
    submitter, repeated = backend.submitter, None
    if await _is_known(backend, submission.item_id):  # asking the chain would cost a transaction
        record = await whole_item(backend, submission.item_id)
        if record is not None:
            repeated = await _repeat_answer(backend, principal, submission, record)
    action = contract.submit(**submission.content(), client=principal.name)
    if repeated is None:
        if needed := contract.required_capabilities(action):
            await backend.node.require(needed)
        await _require_visible(backend, principal, submission.after, siblings)
    return Prepared(submitter, submission, action, repeated)


async def _require_visible(
    backend: Backend, principal: Principal, item_ids: Sequence[str], siblings: Collection[str]
) -> None:
    """Raise the 422 for an item that the principal can't see, as for one that is not there.

    Else a client could learn of another's item when its own becomes claimable. So a sibling that is
    there has to be the principal's, too: whoever names an id has not submitted it.
    """
    if not item_ids:
        return
    records = await whole_items(backend, item_ids)
    for item_id, record in zip(item_ids, records, strict=True):
        is_new = record is None and item_id in siblings
        if not is_new and (record is None or not can_see(backend, principal, record)):
            detail = f"after names an item that is not there: {item_id}"
            raise HTTPException(HTTPStatus.UNPROCESSABLE_CONTENT, detail)


async def send(backend: Backend, principal: Principal, prepared: Prepared) -> Accepted:
    """Send a submission and return its answer; raises HTTPException for a refusal.

    Nothing is awaited before it is in the queue. So tasks that are made in the order of a list send
    in that order, and one submission may come after another.
    """
    if prepared.repeated is not None:
        return prepared.repeated
    submission = prepared.submission
    pending = prepared.submitter.enqueue(prepared.action, principal.name)
    outcome = await wait_for_block(prepared.submitter, pending)
    if outcome is None:
        return pending_answer(pending)
    if outcome.ok:
        backend.remember_submission(submission.item_id, outcome.tx_hash)
        return await final_answer(backend, submission.item_id, outcome.tx_hash, outcome.item)
    if outcome.code in {"exists", "archived"}:
        record = await whole_item(backend, submission.item_id)
        if record is not None:
            return await _repeat_answer(backend, principal, submission, record)
    # What is missing is not this item, but one that it names.
    code = "invalid" if outcome.code == "missing" else outcome.code
    raise refusal(submission.item_id, code, outcome.message)


async def _is_known(backend: Backend, item_id: str) -> bool:
    """Tell whether this API or its projection knows an item of this id, without asking the node."""
    if item_id in backend.recent_submissions:
        return True
    try:
        return await backend.store.item(item_id) is not None
    except ProjectionMismatch, ProjectionUnavailable:
        return False


async def _repeat_answer(
    backend: Backend, principal: Principal, submission: Submission, record: Item
) -> Accepted:
    """Return the first answer if this is the same request again; raises the 409 otherwise."""
    if not _is_same_request(backend, principal, submission, record):
        raise refusal(record.item_id, *answers.EXISTS)
    tx_hash = await _first_transaction(backend, record)
    return await final_answer(backend, record.item_id, tx_hash, record)


def _is_same_request(
    backend: Backend, principal: Principal, submission: Submission, record: Item
) -> bool:
    """Tell whether an item has this content and was submitted for this principal by our wallets."""
    is_ours = record.requester in backend.requesters and can_see(backend, principal, record)
    content = submission.content().items()
    return is_ours and all(getattr(record, name) == value for name, value in content)


async def _first_transaction(backend: Backend, record: Item) -> str | None:
    """Return the transaction that submitted an item; None if no index reaches back to it.

    The projection answers at once, the node's index within a moment. Raises WorkflowError if
    neither does in time, because any other answer than the first would be wrong.
    """
    if record.item_id in backend.recent_submissions:
        return backend.recent_submissions[record.item_id]
    try:
        tx_hash = await _projected_transaction(backend, record)
    except ProjectionMismatch, ProjectionUnavailable:
        tx_hash = None
    return tx_hash or await _indexed_transaction(backend, record.item_id)


async def _projected_transaction(backend: Backend, record: Item) -> str | None:
    """Return the transaction of the oldest projected submission, None if that is not the first.

    A retried or released item is submitted again, and a projection of an index that begins late may
    hold only such a later submission.
    """
    submitted = EventFilter(item_id=record.item_id, name="ItemSubmitted")
    page = await backend.store.events(submitted, EVENT_PAGE)
    while page.next_cursor is not None:
        page = await backend.store.events(submitted, EVENT_PAGE, page.next_cursor)
    if not page.rows or parse(page.rows[-1]["created_at"]) != parse(record.created_at):
        return None
    return str(page.rows[-1]["tx_hash"])


async def _indexed_transaction(backend: Backend, item_id: str) -> str | None:
    height = (await backend.node.status()).height
    deadline = time.monotonic() + INDEX_WAIT_SECONDS
    while True:
        indexed = await backend.node.indexed_height()
        tx_hash = await backend.node.submission(item_id)
        if tx_hash or indexed >= height:
            return tx_hash
        if time.monotonic() > deadline:
            raise IndexUnavailable(f"the index is at height {indexed}, the chain at {height}")
        await asyncio.sleep(INDEX_POLL_SECONDS)
