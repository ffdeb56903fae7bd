"""The smoke test: one item through the whole backend, and how long each step took."""

import time
import uuid
from typing import Any

from ..client import ApiClient
from ..errors import WorkflowError

POLL_SECONDS = 0.05
PAYLOAD = "urn:workflow-backend:smoke"

_HINTS = {
    "submitted": "see whether the API and the node run: workflow-backend health",
    "completed": "see whether the processor runs and is a worker: workflow-backend health",
    "projected": "see whether the projector runs and the index is level: workflow-backend health",
}


def smoke(api: ApiClient, item_id: str | None, timeout: float) -> dict[str, Any]:
    """Submit an item, wait until the chain has it completed and the projection shows that.

    Without `item_id` the item is a fresh one; one that was submitted before is only followed.
    Returns the seconds of each step; `ok` is False where one failed, `failed`, `error` and `hint`
    tell which and why. No step takes longer than `timeout` seconds.
    """
    item_id = item_id or f"smoke-{uuid.uuid4().hex[:12]}"
    seconds: dict[str, float] = {}
    result: dict[str, Any] = {"ok": True, "item_id": item_id, "seconds": seconds}
    for step, work in (("submitted", _submit), ("completed", _complete), ("projected", _project)):
        began = time.monotonic()
        try:
            work(api, item_id, timeout)
        except WorkflowError as error:
            hint = error.hint or _HINTS[step]
            return result | {"ok": False, "failed": step, "error": str(error), "hint": hint}
        seconds[step] = round(time.monotonic() - began, 3)
    return result


def _submit(api: ApiClient, item_id: str, _: float) -> None:
    accepted = api.submit(item_id, PAYLOAD, kind="smoke")
    if not accepted["finalized"]:
        raise WorkflowError(f"transaction {accepted['tx_hash']} is in no block yet")


def _complete(api: ApiClient, item_id: str, timeout: float) -> None:
    *_, last = api.watch(item_id, timeout)
    if last["status"] != "completed":
        raise WorkflowError(f"item {item_id} is {last['status']}: {last['failure_reason']}")


def _project(api: ApiClient, item_id: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        projected = api.item(item_id)["projection"]
        if projected and projected["status"] == "completed":
            return
        if time.monotonic() > deadline:
            status = projected["status"] if projected else "absent"
            raise WorkflowError(f"item {item_id} is {status} in the projection after {timeout:g} s")
        time.sleep(POLL_SECONDS)
