"""From an action on its way to an answer: 201 or 200 in a block, 202 at a node, or a refusal."""

import asyncio
import contextlib
from http import HTTPStatus

from fastapi import HTTPException

from ..chain.pending import PendingAction
from ..chain.submitter import Submitter
from ..errors import NodeUnavailable
from ..items import Item, Outcome
from .backend import Backend
from .chain_item import chain_item
from .models import Accepted, ItemRecord

WAIT_SECONDS = 10.0
"""How long a write waits for its block."""

_STATUS_OF_CODE = {
    "invalid": HTTPStatus.UNPROCESSABLE_CONTENT,
    "exists": HTTPStatus.CONFLICT,
    "missing": HTTPStatus.NOT_FOUND,
    "state": HTTPStatus.CONFLICT,
    "forbidden": HTTPStatus.FORBIDDEN,
}


async def wait_for_block(submitter: Submitter, pending: PendingAction) -> Outcome | None:
    """Return what the chain decided; None if a node has the transaction but no block has it yet.

    Raises the 503 if no node is known to have it: what only this process holds is lost with it, so
    nothing may be promised.
    """
    try:
        return await asyncio.wait_for(pending.outcome(), WAIT_SECONDS)
    except TimeoutError:
        if pending.tx_hash is not None:
            return None
    if submitter.withdraw(pending):
        detail = f"no node took it within {WAIT_SECONDS:g} s: nothing was done"
    else:
        detail = (
            f"no node confirmed within {WAIT_SECONDS:g} s that it has it: "
            "it may be done nevertheless"
        )
    raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail)


def pending_answer(pending: PendingAction) -> Accepted:
    """Return the answer to a write whose transaction is in no block yet."""
    item_id = pending.action.item_id
    return Accepted(item_id=item_id, tx_hash=pending.tx_hash, finalized=False, item=None)


async def final_answer(
    backend: Backend, item_id: str, tx_hash: str | None, record: Item | None
) -> Accepted:
    """Return the answer to a write that is in a block."""
    item: ItemRecord | None = None
    with contextlib.suppress(NodeUnavailable):  # it is in a block: no other answer is right
        item = await chain_item(backend, record) if record else None
    return Accepted(item_id=item_id, tx_hash=tx_hash, finalized=True, item=item)


def refusal(item_id: str, code: str, message: str) -> HTTPException:
    """Return the error for an action that the contract refuses with this code."""
    status = _STATUS_OF_CODE.get(code, HTTPStatus.CONFLICT)
    return HTTPException(status, f"item {item_id}: {message}")
