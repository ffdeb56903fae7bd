"""The smoke test: one item through the whole backend, and how long each step took."""

import time
import uuid
from typing import Any

from workflow_backend_client import Client

from ..client import ApiError, explained
from ..errors import WorkflowError

POLL_SECONDS = 0.05
PAYLOAD = "urn:workflow-backend:smoke"

_HINTS = {
    "submitted": "see whether the API and the node run: workflow-backend health",
    "completed": "see whether the processor runs and is a worker: workflow-backend health",
    "projected": "see whether the projector runs and the index is level: workflow-backend health",
}

_FOREIGN = "it may be another item's id: leave out --item, or give an id that smoke itself has sent"


def smoke(api: Client, item_id: str | None, timeout: float) -> dict[str, Any]:
    """Submit an item, wait until the chain has it completed and the projection shows that.

    Without `item_id` the item is a new one. An item that smoke submitted before is only followed.
    Returns the seconds of each step. When a step fails, `ok` is False, and `failed`, `error` and
    `hint` say which step and why. No step takes longer than `timeout` seconds.
    """
    is_given = item_id is not None
    item_id = item_id or f"smoke-{uuid.uuid4().hex[:12]}"
    seconds: dict[str, float] = {}
    result: dict[str, Any] = {"ok": True, "item_id": item_id, "seconds": seconds}
    for step, work in (("submitted", _submit), ("completed", _complete), ("projected", _project)):
        began = time.monotonic()
        try:
            with explained():
                work(api, item_id, timeout)
        except WorkflowError as error:
            refused = step == "submitted" and is_given and isinstance(error, ApiError)
            hint = error.hint or (_FOREIGN if refused else _HINTS[step])
            return result | {"ok": False, "failed": step, "error": str(error), "hint": hint}
        seconds[step] = round(time.monotonic() - began, 3)
    return result


def _submit(api: Client, item_id: str, _: float) -> None:
    accepted = api.submit(item_id, PAYLOAD, kind="smoke")
    if not accepted["finalized"]:
        raise WorkflowError(f"transaction {accepted['tx_hash']} is in no block yet")


def _complete(api: Client, item_id: str, timeout: float) -> None:
    *_, last = api.watch(item_id, timeout)
    if last["status"] != "completed":
        raise WorkflowError(f"item {item_id} is {last['status']}: {last['failure_reason']}")


def _project(api: Client, item_id: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        projected = api.get(item_id)["projection"]
        if projected and projected["status"] == "completed":
            return
        if time.monotonic() > deadline:
            status = projected["status"] if projected else "absent"
            raise WorkflowError(f"item {item_id} is {status} in the projection after {timeout:g} s")
        time.sleep(POLL_SECONDS)
