"""The contract's answers: how they read, and what a record proves where one was lost."""

from dataclasses import replace

import pytest

from workflow_backend.chain import answers, contract
from workflow_backend.items import Item

ME, OTHER = "a" * 64, "b" * 64

SUBMITTED = Item(
    item_id="job-1",
    requester=ME,
    kind="job",
    payload_uri="https://example.org/1",
    metadata_ref="",
    client="",
    status="submitted",
    worker="",
    result_uri="",
    failure_reason="",
    created_at="2026-01-01 00:00:00",
    updated_at="2026-01-01 00:00:00",
    attempt=0,
    lease_seconds=0,
    contested_at=None,
)
HELD = replace(SUBMITTED, status="processing", worker=ME, attempt=2, lease_seconds=60)


def receipt(answer: str, *records: Item) -> dict[str, object]:
    write_size = [
        {"key": f"con_job_workflow.items:{record.item_id}", "value": record.as_dict()}
        for record in records
    ]
    return {"result": answer, "state": write_size, "chi_used": 100}


def test_batch_answer_is_parsed_by_entry() -> None:
    actions = [contract.claim(SUBMITTED, 60), contract.complete(HELD, "https://example.org/r")]
    held = replace(HELD, attempt=1)
    claimed, late = answers.outcomes(actions, receipt("'a1n12'", held), "AB", 7) or []
    assert (claimed.ok, claimed.attempt, claimed.item) == (True, 1, held)
    assert (late.code, late.attempt, late.item) == ("stale", 12, None)
    assert "attempt" in late.message
    assert (late.tx_hash, late.height) == ("AB", 7)


@pytest.mark.parametrize("answer", ["'a1'", "'a1a2a3'", "'a1?2'", "None"])
def test_truncated_answer_is_no_answer(answer: str) -> None:
    actions = [contract.claim(SUBMITTED, 60), contract.claim(HELD, 60)]
    assert answers.outcomes(actions, receipt(answer), "AB", 7) is None


def test_lost_submission_is_derived_from_record() -> None:
    action = contract.submit("job-1", "https://example.org/1", "job", "")
    assert answers.expected_outcome(action, None, ME) is None
    assert answers.expected_outcome(action, SUBMITTED, ME) == ("ok", "")
    for other in (replace(SUBMITTED, requester=OTHER), replace(SUBMITTED, payload_uri="x")):
        judged = answers.expected_outcome(action, other, ME)
        assert judged is not None
        assert judged[0] == "exists"


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        (contract.claim(SUBMITTED, 60), SUBMITTED, replace(HELD, attempt=1)),
        (contract.complete(HELD, "r"), HELD, replace(HELD, status="completed")),
        (contract.fail(HELD, "why"), HELD, replace(HELD, status="failed")),
        (contract.release(HELD), HELD, replace(HELD, status="submitted", worker="")),
        (contract.cancel(SUBMITTED, ""), SUBMITTED, replace(SUBMITTED, status="cancelled")),
        (contract.retry(SUBMITTED), replace(SUBMITTED, status="failed"), SUBMITTED),
    ],
    ids=lambda value: value.name if isinstance(value, contract.Action) else None,
)
def test_lost_action_is_repeated_without_effect_only(
    action: contract.Action, before: Item, after: Item
) -> None:
    assert answers.expected_outcome(action, before, ME) is None
    assert answers.expected_outcome(action, after, ME) == ("ok", "")


def test_lost_retry_is_not_done_twice() -> None:
    failed = replace(SUBMITTED, status="failed", attempt=1)
    assert answers.expected_outcome(contract.retry(failed), failed, ME) is None
    again = replace(failed, attempt=2)
    assert answers.expected_outcome(contract.retry(failed), again, ME) == ("ok", "")


def test_lost_report_of_earlier_attempt_is_stale() -> None:
    judged = answers.expected_outcome(contract.complete(HELD, "r"), replace(HELD, attempt=3), ME)
    assert judged is not None
    assert judged[0] == "stale"


def test_lost_report_names_status() -> None:
    judged = answers.expected_outcome(
        contract.complete(HELD, "r"), replace(HELD, status="cancelled"), ME
    )
    assert judged == ("state", "the item is cancelled")


def test_contender_may_contend_again() -> None:
    held = replace(HELD, worker=OTHER)
    assert answers.expected_outcome(contract.claim(held, 60), held, ME) is None
