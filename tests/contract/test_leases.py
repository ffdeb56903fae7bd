"""Nobody takes an item over before its lease has truly passed, whatever the blocks' times are."""

from typing import Any

import pytest

from .jobs import ALICE, OPERATOR, STRANGER, WALT, WANDA, Jobs

LEASED = "leased: another worker holds the item and its lease has not passed"


@pytest.fixture
def held(jobs: Jobs) -> Jobs:
    """Wanda has claimed item "i" for 60 seconds, in the current block."""
    jobs.send(ALICE, "submit_item", item_id="i", payload_uri="p")
    jobs.chain.block()
    jobs.send(WANDA, "claim_item", item_id="i", lease_seconds=60)
    return jobs


def contend(jobs: Jobs, worker: str = WALT) -> str:
    [(answer, _)] = jobs.batch(worker, "claim_items", item_ids=["i"])
    return answer


def written(before: dict[str, Any]) -> dict[str, Any]:
    """Return what any write changes in a record."""
    return {"revision": before["revision"] + 1} if "revision" in before else {}


def test_first_contender_only_starts_the_clock(held: Jobs) -> None:
    before = held.record()
    held.chain.block(3600)  # an idle hour
    receipt = held.send(WALT, "claim_items", item_ids=["i"])
    assert held.decode(receipt) == [(LEASED, 1)]
    assert receipt.named_events == []
    assert held.record() == {**before, **written(before), "contested_at": held.now}


def test_contender_in_the_claims_block_starts_nothing(held: Jobs) -> None:
    before = held.record()
    assert contend(held) == LEASED
    assert held.record() == before


def test_take_over_once_the_lease_has_passed(held: Jobs) -> None:
    held.chain.block(10)
    assert contend(held) == LEASED
    contested_at = held.now
    held.chain.block(59.999999)
    assert contend(held, OPERATOR) == LEASED
    assert held.record()["contested_at"] == contested_at
    held.chain.block(0.000001)
    receipt = held.send(WALT, "claim_items", item_ids=["i"], lease_seconds=5)
    assert held.decode(receipt) == [("ok", 2)]
    assert receipt.named_events == [
        ("ItemClaimed", {"item_id": "i", "worker": WALT, "requester": ALICE})
    ]
    record = held.record()
    assert (record["worker"], record["attempt"], record["lease_seconds"]) == (WALT, 2, 5)
    assert (record["contested_at"], record["updated_at"]) == (None, held.now)


def test_any_worker_may_take_over(held: Jobs) -> None:
    held.chain.block()
    contend(held, WALT)
    held.chain.block(60)
    held.send(OPERATOR, "claim_item", item_id="i")
    assert held.record()["worker"] == OPERATOR


def test_refused_single_claim_starts_nothing(held: Jobs) -> None:
    before = held.record()
    held.chain.block(3600)
    assert held.refusal(WALT, "claim_item", item_id="i") == LEASED
    assert held.record() == before


def test_renewal_ends_the_contest(held: Jobs) -> None:
    held.chain.block()
    contend(held)
    held.chain.block(59)
    held.send(WANDA, "renew_item", item_id="i", attempt=1)
    record = held.record()
    assert (record["contested_at"], record["lease_seconds"]) == (None, 60)
    assert contend(held) == LEASED
    assert held.record()["contested_at"] is None  # the block of the renewal
    held.chain.block(3600)
    assert contend(held) == LEASED
    held.chain.block(59)
    assert contend(held) == LEASED
    held.chain.block(1)
    assert contend(held) == "ok"


def test_renewal_may_change_the_lease(held: Jobs) -> None:
    held.send(WANDA, "renew_item", item_id="i", lease_seconds=600)
    assert held.record()["lease_seconds"] == 600
    held.chain.block()
    contend(held)
    held.chain.block(599)
    assert contend(held) == LEASED
    held.chain.block(1)
    assert contend(held) == "ok"


def test_holder_may_report_until_take_over(held: Jobs) -> None:
    held.chain.block()
    contend(held)
    held.chain.block(86400)
    held.send(WANDA, "complete_item", item_id="i", result_uri="r", attempt=1)
    record = held.record()
    assert (record["status"], record["contested_at"]) == ("completed", None)
    assert contend(held) == "state: the item is completed"


def test_late_report_has_no_effect(held: Jobs) -> None:
    held.chain.block()
    contend(held)
    held.chain.block(60)
    contend(held)
    before = held.record()
    stale = "stale: the attempt is not the current one of the item"
    for entry in (
        {"action": "complete", "result_uri": "r"},
        {"action": "fail", "reason": "r"},
        {"action": "renew"},
        {"action": "release"},
    ):
        assert held.apply(WANDA, {"item_id": "i", "attempt": 1, **entry}) == [(stale, 2)]
        assert held.apply(WANDA, {"item_id": "i", **entry}) == [
            ("forbidden: only the worker that holds the item may do this", 2)
        ]
    assert held.record() == before
    held.send(WALT, "complete_item", item_id="i", result_uri="r", attempt=2)
    assert held.apply(
        WANDA, {"action": "complete", "item_id": "i", "result_uri": "x", "attempt": 1}
    ) == [(stale, 2)]


def test_released_item_is_free_at_once(held: Jobs) -> None:
    held.chain.block()
    contend(held)
    held.send(WANDA, "release_item", item_id="i")
    assert held.record()["contested_at"] is None
    assert contend(held) == "ok"


def test_only_workers_contend(held: Jobs) -> None:
    held.chain.block()
    before = held.record()
    assert contend(held, STRANGER) == "forbidden: only workers may do this"
    assert held.record() == before


@pytest.mark.parametrize("lease", [5, 86400])
def test_lease_limits(held: Jobs, lease: int) -> None:
    held.send(WANDA, "renew_item", item_id="i", lease_seconds=lease)
    held.chain.block()
    contend(held)
    held.chain.block(lease - 0.000001)
    assert contend(held) == LEASED
    held.chain.block(0.000001)
    assert contend(held) == "ok"


@pytest.mark.parametrize("fraction", [0, 0.5, 0.000001])
def test_times_with_and_without_fractions_compare(held: Jobs, fraction: float) -> None:
    held.chain.block(1 + fraction)
    contend(held)
    assert ("." in held.record()["contested_at"]) == (fraction > 0)
    held.chain.block(60 - fraction / 2 - 0.000001)
    assert contend(held) == LEASED
    held.chain.block(fraction)
    held.chain.block(1)
    assert contend(held) == "ok"
