"""Whoever may cancel an item may stop it while it runs: what was done counts, no more is begun."""

from typing import Any

import pytest

from .jobs import AGENT, ALICE, OPERATOR, PEOPLE, STRANGER, WALT, WANDA, Jobs

STOPPING = "stopping: a stop of the item was requested"
LEASED = "leased: another worker holds the item and its lease has not passed"
CANCELLED = "state: the item is cancelled"


@pytest.fixture
def stopping(new_jobs: Jobs) -> Jobs:
    """Wanda holds item "i" for 60 seconds, and Alice asked in a later block to stop it."""
    new_jobs.put("submitted")
    new_jobs.send(WANDA, "claim_item", item_id="i", lease_seconds=60)
    new_jobs.chain.block()
    new_jobs.send(ALICE, "stop_item", item_id="i", reason="too late")
    new_jobs.chain.block()
    return new_jobs


def claim(jobs: Jobs, who: str = WALT) -> str:
    [(answer, _)] = jobs.batch(who, "claim_items", item_ids=["i"])
    return answer


@pytest.mark.parametrize("batched", [False, True])
def test_waiting_item_is_cancelled(new_jobs: Jobs, batched: bool) -> None:
    before = new_jobs.put("submitted")
    if batched:
        receipt = new_jobs.send(AGENT, "stop_items", batch=[{"item_id": "i", "reason": "too late"}])
        assert new_jobs.decode(receipt) == [("ok", 0)]
    else:
        receipt = new_jobs.send(AGENT, "stop_item", item_id="i", reason="too late")
    assert receipt.named_events == [
        ("ItemCancelled", {"item_id": "i", "actor": AGENT, "reason": "too late"})
    ]
    assert new_jobs.record() == {
        **before,
        "status": "cancelled",
        "failure_reason": "too late",
        "updated_at": new_jobs.now,
        "revision": before["revision"] + 1,
    }


def test_processing_item_notes_who_when_and_why(new_jobs: Jobs) -> None:
    before = new_jobs.put("processing")
    receipt = new_jobs.send(AGENT, "stop_item", item_id="i", reason="too late")
    assert receipt.named_events == [
        ("ItemStopRequested", {"item_id": "i", "actor": AGENT, "reason": "too late"})
    ]
    assert new_jobs.record() == {
        **before,
        "stop_requested_at": new_jobs.now,
        "stop_requested_by": AGENT,
        "stop_reason": "too late",
        "revision": before["revision"] + 1,
    }


@pytest.mark.parametrize("who", PEOPLE)
def test_stop_is_for_requester_agents_and_operator(new_jobs: Jobs, who: str) -> None:
    before = new_jobs.put("processing")
    if who in {"requester", "agent", "operator"}:
        new_jobs.send(PEOPLE[who], "stop_item", item_id="i")
        assert new_jobs.record()["stop_requested_by"] == PEOPLE[who]
        return
    assert new_jobs.refusal(PEOPLE[who], "stop_item", item_id="i") == (
        "forbidden: only the requester, its agents and the operator may do this"
    )
    assert new_jobs.codes(PEOPLE[who], "stop", "i") == ["forbidden"]
    assert new_jobs.record() == before


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_ended_item_is_not_stopped(new_jobs: Jobs, status: str) -> None:
    before = new_jobs.put(status)
    assert new_jobs.refusal(ALICE, "stop_item", item_id="i") == f"state: the item is {status}"
    assert new_jobs.codes(ALICE, "stop", "i", "none") == ["state", "missing"]
    assert new_jobs.record() == before


def test_second_stop_is_refused(stopping: Jobs) -> None:
    before = stopping.record()
    assert stopping.refusal(OPERATOR, "stop_item", item_id="i", reason="other") == STOPPING
    assert stopping.codes(ALICE, "stop", "i") == ["stopping"]
    assert stopping.record() == before


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_report_counts_after_a_stop(stopping: Jobs, status: str) -> None:
    before = stopping.record()
    if status == "completed":
        stopping.send(WANDA, "complete_item", item_id="i", result_uri="r", attempt=1)
    else:
        stopping.send(WANDA, "fail_item", item_id="i", reason="broken", attempt=1)
    record = stopping.record()
    assert record["status"] == status
    assert record["failure_reason"] == ("broken" if status == "failed" else "")
    for name in ("stop_requested_at", "stop_requested_by", "stop_reason"):
        assert record[name] == before[name]


@pytest.mark.parametrize("function", ["renew_item", "release_item"])
def test_holder_keeps_no_lease_of_a_stopping_item(stopping: Jobs, function: str) -> None:
    before = stopping.record()
    assert stopping.refusal(WANDA, function, item_id="i", attempt=1) == STOPPING
    assert stopping.codes(WANDA, function.partition("_")[0], "i") == ["stopping"]
    assert stopping.refusal(WALT, function, item_id="i").startswith("forbidden: ")
    assert stopping.refusal(WANDA, function, item_id="i", attempt=2).startswith("stale: ")
    assert stopping.record() == before


@pytest.mark.parametrize("who", [ALICE, AGENT, OPERATOR])
def test_failed_item_that_was_to_stop_is_not_retried(stopping: Jobs, who: str) -> None:
    stopping.send(WANDA, "fail_item", item_id="i", reason="broken")
    before = stopping.record()
    assert stopping.refusal(who, "retry_item", item_id="i") == STOPPING
    assert stopping.codes(who, "retry", "i") == ["stopping"]
    assert stopping.codes(who, "stop", "i") == ["state"]
    assert stopping.record() == before


@pytest.mark.parametrize("fields", [{}, {"attempt": 1}, {"reason": "ended early", "attempt": 1}])
def test_holder_ends_a_stopping_item(stopping: Jobs, fields: dict[str, Any]) -> None:
    receipt = stopping.send(WANDA, "cancel_items", batch=[{"item_id": "i", **fields}])
    reason = fields.get("reason", "too late")
    assert stopping.decode(receipt) == [("ok", 1)]
    assert receipt.named_events == [
        ("ItemCancelled", {"item_id": "i", "actor": WANDA, "reason": reason})
    ]
    record = stopping.record()
    assert (record["status"], record["worker"], record["lease_seconds"]) == ("cancelled", WANDA, 0)
    assert record["failure_reason"] == reason
    assert claim(stopping) == CANCELLED


def test_holder_ends_the_attempt_it_means(stopping: Jobs) -> None:
    assert stopping.codes(WANDA, "cancel", "i", attempt=2) == ["stale"]
    assert stopping.record()["status"] == "processing"


@pytest.mark.parametrize("who", [ALICE, AGENT, OPERATOR])
def test_others_do_not_cancel_what_runs(stopping: Jobs, who: str) -> None:
    before = stopping.record()
    assert stopping.codes(who, "cancel", "i") == ["state"]
    assert stopping.codes(WALT, "cancel", "i") == ["forbidden"]
    assert stopping.record() == before


def test_holder_cancels_nothing_that_nobody_stopped(new_jobs: Jobs) -> None:
    before = new_jobs.put("processing")
    assert new_jobs.codes(WANDA, "cancel", "i") == ["forbidden"]
    assert new_jobs.record() == before


@pytest.mark.parametrize("who", PEOPLE)
def test_anybody_ends_it_once_the_lease_has_passed(stopping: Jobs, who: str) -> None:
    account, before = PEOPLE[who], stopping.record()
    assert claim(stopping, account) == LEASED  # the first one starts the clock
    assert stopping.record() == {
        **before,
        "contested_at": stopping.now,
        "revision": before["revision"] + 1,
    }
    stopping.chain.block(59.999999)
    assert claim(stopping, account) == LEASED
    stopping.chain.block(0.000001)
    receipt = stopping.send(account, "claim_items", item_ids=["i"])
    assert stopping.decode(receipt) == [(STOPPING, 1)]
    assert receipt.named_events == [
        ("ItemCancelled", {"item_id": "i", "actor": account, "reason": "too late"})
    ]
    record = stopping.record()
    assert (record["status"], record["worker"], record["attempt"]) == ("cancelled", WANDA, 1)
    assert (record["lease_seconds"], record["contested_at"]) == (0, None)
    assert claim(stopping) == CANCELLED
    assert stopping.codes(ALICE, "retry", "i") == ["state"]
    assert stopping.codes(WANDA, "complete", "i", result_uri="r") == ["state"]


def test_single_claim_ends_nothing(stopping: Jobs) -> None:
    """What fails keeps nothing, so a batch has to do it."""
    claim(stopping)
    stopping.chain.block(60)
    before = stopping.record()
    assert stopping.refusal(WALT, "claim_item", item_id="i") == STOPPING
    assert stopping.record() == before


def test_claim_in_the_block_of_the_lease_starts_no_clock(new_jobs: Jobs) -> None:
    new_jobs.put("submitted")
    new_jobs.send(WANDA, "claim_item", item_id="i", lease_seconds=60)
    new_jobs.send(ALICE, "stop_item", item_id="i")
    assert claim(new_jobs, STRANGER) == LEASED
    assert new_jobs.record()["contested_at"] is None


def test_stop_leaves_a_running_clock(new_jobs: Jobs) -> None:
    new_jobs.put("submitted")
    new_jobs.send(WANDA, "claim_item", item_id="i", lease_seconds=60)
    new_jobs.chain.block()
    assert claim(new_jobs) == LEASED
    new_jobs.chain.block(59)
    new_jobs.send(ALICE, "stop_item", item_id="i")
    new_jobs.chain.block(1)
    assert claim(new_jobs, STRANGER) == STOPPING


def test_holder_may_report_until_somebody_ended_it(stopping: Jobs) -> None:
    claim(stopping)
    stopping.chain.block(3600)
    stopping.send(WANDA, "complete_item", item_id="i", result_uri="r", attempt=1)
    assert stopping.record()["status"] == "completed"
    assert claim(stopping) == "state: the item is completed"


def test_stranger_starts_no_clock_of_an_item_that_goes_on(new_jobs: Jobs) -> None:
    before = new_jobs.put("processing")
    assert claim(new_jobs, STRANGER) == "forbidden: only workers may do this"
    assert new_jobs.record() == before


def test_removed_holder_neither_reports_nor_ends(stopping: Jobs) -> None:
    stopping.send(OPERATOR, "remove_worker", account=WANDA)
    for action, fields in {"complete": {"result_uri": "r"}, "fail": {}, "cancel": {}}.items():
        assert stopping.codes(WANDA, action, "i", **fields) == ["forbidden"]
    assert claim(stopping, STRANGER) == LEASED
    stopping.chain.block(60)
    assert claim(stopping, WANDA) == STOPPING


def test_pause_keeps_nothing_from_being_ended(stopping: Jobs) -> None:
    stopping.send(OPERATOR, "pause_claims")
    assert claim(stopping) == LEASED
    stopping.chain.block(60)
    assert claim(stopping) == STOPPING


def test_one_wallet_for_all_stops_and_ends(new_jobs: Jobs) -> None:
    """A development network has one account for requester, operator and worker."""
    new_jobs.apply(
        OPERATOR,
        {"action": "submit", "item_id": "i", "payload_uri": "p"},
        {"action": "claim", "item_id": "i"},
    )
    assert new_jobs.codes(OPERATOR, "cancel", "i") == ["state"]
    assert new_jobs.codes(OPERATOR, "stop", "i") == ["ok"]
    assert new_jobs.codes(OPERATOR, "cancel", "i", attempt=1) == ["ok"]
    assert new_jobs.record()["status"] == "cancelled"


def test_stop_follows_a_claim_of_the_same_batch(new_jobs: Jobs) -> None:
    new_jobs.put("submitted")
    entries = [
        {"action": "claim", "item_id": "i"},
        {"action": "stop", "item_id": "i"},
        {"action": "renew", "item_id": "i"},
        {"action": "complete", "item_id": "i", "result_uri": "r"},
        {"action": "stop", "item_id": "i"},
    ]
    new_jobs.send(ALICE, "add_agent", account=WANDA)
    answers = new_jobs.apply(WANDA, *entries)
    assert [answer.partition(":")[0] for answer, _ in answers] == [
        "ok",
        "ok",
        "stopping",
        "ok",
        "state",
    ]
