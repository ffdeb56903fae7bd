"""Every action in every status, and by everybody."""

from typing import Any

import pytest

from .jobs import AGENT, ALICE, DEFAULTS, OPERATOR, PEOPLE, SECOND, STRANGER, WALT, WANDA, Jobs

STATUSES = ("submitted", "processing", "completed", "failed", "cancelled")
FIELDS: dict[str, dict[str, Any]] = {
    "claim": {},
    "complete": {"result_uri": "https://example.org/r"},
    "fail": {"reason": "broken"},
    "renew": {},
    "release": {},
    "cancel": {"reason": "no need"},
    "retry": {},
}
MOVES = {
    ("submitted", "claim"): "processing",
    ("submitted", "cancel"): "cancelled",
    ("processing", "complete"): "completed",
    ("processing", "fail"): "failed",
    ("processing", "renew"): "processing",
    ("processing", "release"): "submitted",
    ("failed", "retry"): "submitted",
}
EVENTS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "claim": [("ItemClaimed", {"item_id": "i", "worker": WANDA, "requester": ALICE})],
    "complete": [
        (
            "ItemCompleted",
            {"item_id": "i", "worker": WANDA, "result_uri": "https://example.org/r"},
        )
    ],
    "fail": [("ItemFailed", {"item_id": "i", "worker": WANDA, "reason": "broken"})],
    "renew": [],
    "cancel": [("ItemCancelled", {"item_id": "i", "actor": ALICE, "reason": "no need"})],
}
MAY = {
    "claim": {"operator", "holder", "worker"},
    "complete": {"holder"},
    "fail": {"holder"},
    "renew": {"holder"},
    "release": {"holder"},
    "cancel": {"requester", "agent", "operator"},
    "retry": {"requester", "agent", "operator"},
}


def submitted(jobs: Jobs, **fields: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the event of an item that may be claimed, as the contract's version tells it."""
    if jobs.can("priority"):
        fields = {**fields, "client": fields.get("client", ""), "priority": 5}
    else:
        fields.pop("client", None)
    return [("ItemSubmitted", fields)]


def events(jobs: Jobs, action: str) -> list[tuple[str, dict[str, Any]]]:
    if action in EVENTS:
        return EVENTS[action]
    return submitted(jobs, item_id="i", kind="job", requester=ALICE)


def right_person(action: str) -> str:
    return ALICE if action in {"cancel", "retry"} else WANDA


@pytest.mark.parametrize("action", FIELDS)
@pytest.mark.parametrize("status", STATUSES)
def test_transitions_between_statuses(jobs: Jobs, status: str, action: str) -> None:
    before = jobs.put(status)
    sender, goal = right_person(action), MOVES.get((status, action))
    entry = {"item_id": "i", **FIELDS[action]}
    if goal is None:
        state = f"state: the item is {status}"
        if (status, action) == ("processing", "claim"):
            state = "state: this worker holds the item already"
        assert jobs.refusal(sender, f"{action}_item", **entry) == state
        assert jobs.apply(sender, {"action": action, **entry}) == [(state, before["attempt"])]
        assert jobs.record() == before
        return
    with jobs.chain.unchanged():
        receipt = jobs.send(sender, "apply_items", batch=[{"action": action, **entry}])
        assert jobs.decode(receipt) == [("ok", before["attempt"] + (action == "claim"))]
        assert receipt.named_events == events(jobs, action)
        batched = jobs.record()
    receipt = jobs.send(sender, f"{action}_item", **entry)
    assert receipt.named_events == events(jobs, action)
    assert jobs.record() == batched
    assert batched["status"] == goal


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("action", FIELDS)
def test_transitions_by_account(jobs: Jobs, action: str, who: str) -> None:
    status = next(status for status, moved in MOVES if moved == action)
    before = jobs.put(status)
    arguments = {"item_id": "i", **FIELDS[action]}
    if who in MAY[action]:
        jobs.send(PEOPLE[who], f"{action}_item", **arguments)
        assert jobs.record() != before
        return
    message = jobs.refusal(PEOPLE[who], f"{action}_item", **arguments)
    assert message.startswith("forbidden: only ")
    assert jobs.record() == before


def test_new_item_has_its_fields(jobs: Jobs) -> None:
    now = jobs.now
    receipt = jobs.send(
        STRANGER,
        "submit_item",
        item_id="A-z_09",
        payload_uri="https://example.org/a b?c=d&e='f\"\\~",
        kind="order",
        metadata_ref="ref",
        client="web-shop",
    )
    assert receipt.named_events == submitted(
        jobs, item_id="A-z_09", kind="order", requester=STRANGER, client="web-shop"
    )
    more = {**DEFAULTS, "revision": 1} if jobs.version is SECOND else {}
    assert jobs.record("A-z_09") == {
        **more,
        "item_id": "A-z_09",
        "requester": STRANGER,
        "kind": "order",
        "payload_uri": "https://example.org/a b?c=d&e='f\"\\~",
        "metadata_ref": "ref",
        "client": "web-shop",
        "status": "submitted",
        "worker": "",
        "result_uri": "",
        "failure_reason": "",
        "created_at": now,
        "updated_at": now,
        "attempt": 0,
        "lease_seconds": 0,
        "contested_at": None,
    }


def test_item_runs_through_its_life(jobs: Jobs) -> None:
    created_at = jobs.put("submitted")["created_at"]
    jobs.send(WANDA, "claim_item", item_id="i", lease_seconds=60)
    record = jobs.record()
    assert (record["worker"], record["attempt"], record["lease_seconds"]) == (WANDA, 1, 60)
    jobs.chain.block()
    jobs.send(WANDA, "fail_item", item_id="i", reason="broken", attempt=1)
    record = jobs.record()
    assert (record["worker"], record["failure_reason"]) == (WANDA, "broken")
    assert record["lease_seconds"] == 0
    jobs.send(AGENT, "retry_item", item_id="i")
    record = jobs.record()
    assert (record["worker"], record["failure_reason"], record["attempt"]) == ("", "", 1)
    jobs.send(WALT, "claim_item", item_id="i")
    assert jobs.record()["lease_seconds"] == 300
    jobs.send(WALT, "release_item", item_id="i", attempt=2)
    record = jobs.record()
    assert (record["worker"], record["lease_seconds"], record["attempt"]) == ("", 0, 2)
    jobs.send(OPERATOR, "claim_item", item_id="i")
    jobs.chain.block()
    jobs.send(OPERATOR, "complete_item", item_id="i", result_uri="", attempt=3)
    record = jobs.record()
    assert (record["status"], record["attempt"]) == ("completed", 3)
    assert record["created_at"] == created_at
    assert record["updated_at"] == jobs.now


def test_item_id_is_taken_once(jobs: Jobs) -> None:
    before = jobs.put("cancelled")
    message = jobs.refusal(STRANGER, "submit_item", item_id="i", payload_uri="other")
    assert message == "exists: there is an item with this item_id"
    assert jobs.apply(STRANGER, {"action": "submit", "item_id": "i", "payload_uri": "x"}) == [
        (message, 0)
    ]
    assert jobs.record() == before


def test_cancelled_item_keeps_the_reason(jobs: Jobs) -> None:
    jobs.put("submitted")
    jobs.send(AGENT, "cancel_item", item_id="i", reason="too late")
    assert jobs.record()["failure_reason"] == "too late"


@pytest.mark.parametrize("action", FIELDS)
def test_missing_item_is_answered(jobs: Jobs, action: str) -> None:
    missing = "missing: there is no item with this item_id"
    sender = right_person(action)
    assert jobs.refusal(sender, f"{action}_item", item_id="none", **FIELDS[action]) == missing
    entry = {"action": action, "item_id": "none", **FIELDS[action]}
    assert jobs.apply(sender, entry) == [(missing, 0)]


def test_unknown_items_read_as_none(jobs: Jobs) -> None:
    record = jobs.put("submitted")
    known = jobs.shown("i")
    assert known.items() >= record.items()
    for item_id in ("none", "a:b", "a.b", "", "é", 5, None, ["i"], "i" * 129):
        read = jobs.read("get_item", item_id=item_id)
        assert read == {**dict.fromkeys(known), "item_id": item_id}
    assert jobs.read("get_items", item_ids=["i", "none", "a:b"]) == [
        jobs.read("get_item", item_id="i"),
        {**dict.fromkeys(known), "item_id": "none"},
        {**dict.fromkeys(known), "item_id": "a:b"},
    ]


@pytest.mark.parametrize(("attempt", "stale"), [(0, False), (1, True), (2, False), (3, True)])
@pytest.mark.parametrize("action", ["complete", "fail", "renew", "release"])
def test_report_for_another_attempt_has_no_effect(
    jobs: Jobs, action: str, attempt: int, stale: bool
) -> None:
    jobs.put("processing")
    jobs.send(WANDA, "release_item", item_id="i")
    jobs.send(WANDA, "claim_item", item_id="i")
    before = jobs.record()
    jobs.chain.block()
    entry = {"action": action, "item_id": "i", "attempt": attempt, **FIELDS[action]}
    answer = jobs.apply(WANDA, entry)
    assert answer == [
        ("stale: the attempt is not the current one of the item" if stale else "ok", 2)
    ]
    assert (jobs.record() == before) == stale
