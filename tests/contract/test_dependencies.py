"""An item that comes after others waits until all of them are completed."""

from itertools import pairwise

import pytest

from .jobs import ALICE, OPERATOR, STRANGER, WANDA, Jobs

WAITING = "waiting: an item that this one comes after is not completed"
NOT_THERE = "missing: after names an item that is not there"


def entry(item_id: str, *after: str) -> dict[str, object]:
    return {"action": "submit", "item_id": item_id, "payload_uri": "p", "after": list(after)}


def submit(jobs: Jobs, item_id: str, *after: str) -> str:
    [(answer, _)] = jobs.apply(ALICE, entry(item_id, *after))
    return answer


def claim(jobs: Jobs, item_id: str = "i") -> str:
    [(answer, _)] = jobs.batch(WANDA, "claim_items", item_ids=[item_id])
    return answer


def run(jobs: Jobs, *item_ids: str) -> None:
    for item_id in item_ids:
        assert claim(jobs, item_id) == "ok"
        jobs.send(WANDA, "complete_item", item_id=item_id, result_uri="r")


@pytest.mark.parametrize("status", ["submitted", "processing", "failed", "cancelled"])
def test_item_waits_for_what_is_not_completed(new_jobs: Jobs, status: str) -> None:
    new_jobs.put("completed", "first")
    new_jobs.put(status, "second")
    assert submit(new_jobs, "i", "first", "second") == "ok"
    before = new_jobs.record()
    assert new_jobs.refusal(WANDA, "claim_item", item_id="i") == WAITING
    assert claim(new_jobs) == WAITING
    assert new_jobs.record() == before


def test_item_is_claimable_once_all_are_completed(new_jobs: Jobs) -> None:
    for number in range(8):
        new_jobs.put("submitted", f"i{number}")
    assert submit(new_jobs, "i", *(f"i{number}" for number in range(8))) == "ok"
    assert new_jobs.record()["after"] == [f"i{number}" for number in range(8)]
    for number in range(8):
        assert claim(new_jobs) == WAITING
        run(new_jobs, f"i{number}")
    assert claim(new_jobs) == "ok"


def test_retried_item_lets_others_go_on(new_jobs: Jobs) -> None:
    new_jobs.put("failed", "first")
    submit(new_jobs, "i", "first")
    assert claim(new_jobs) == WAITING
    new_jobs.send(ALICE, "retry_item", item_id="first")
    run(new_jobs, "first")
    assert claim(new_jobs) == "ok"


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_archived_item_counts_as_it_ended(new_jobs: Jobs, status: str) -> None:
    new_jobs.send(OPERATOR, "set_retention", seconds=60)
    new_jobs.put(status, "first")
    submit(new_jobs, "before", "first")
    new_jobs.codes(STRANGER, "archive", "first")
    new_jobs.chain.block(60)
    assert new_jobs.codes(STRANGER, "archive", "first") == ["ok"]
    submit(new_jobs, "later", "first")
    expected = "ok" if status == "completed" else WAITING
    assert [claim(new_jobs, item_id) for item_id in ("before", "later")] == [expected] * 2


@pytest.mark.parametrize("after", [["none"], ["i"], ["first", "none"], ["i", "first"]])
def test_unknown_and_own_ids_are_refused(new_jobs: Jobs, after: list[str]) -> None:
    new_jobs.put("submitted", "first")
    assert submit(new_jobs, "i", *after) == NOT_THERE
    assert (
        new_jobs.refusal(ALICE, "submit_item", item_id="i", payload_uri="p", after=after)
        == NOT_THERE
    )
    assert new_jobs.record() is None


def test_own_id_of_an_item_that_is_there_is_refused(new_jobs: Jobs) -> None:
    before = new_jobs.put("submitted")
    assert submit(new_jobs, "i", "i").startswith("exists: ")
    assert new_jobs.record() == before


def test_circles_cannot_be_made(new_jobs: Jobs) -> None:
    assert new_jobs.apply(ALICE, entry("a", "b"), entry("b", "a"), entry("b"), entry("a", "b")) == [
        (NOT_THERE, 0),
        (NOT_THERE, 0),
        ("ok", 0),
        ("ok", 0),
    ]


def test_entry_comes_after_an_earlier_one_of_its_batch(new_jobs: Jobs) -> None:
    batch = [entry("a"), entry("b", "a"), entry("c", "a", "b"), entry("d", "e"), entry("e")]
    assert [answer for answer, _ in new_jobs.apply(ALICE, *batch)] == [
        *("ok", "ok", "ok", NOT_THERE, "ok")
    ]


def test_diamond_runs_in_order(new_jobs: Jobs) -> None:
    new_jobs.apply(
        ALICE,
        entry("top"),
        entry("left", "top"),
        entry("right", "top"),
        entry("i", "left", "right"),
    )
    assert [claim(new_jobs, item_id) for item_id in ("left", "right", "i")] == [WAITING] * 3
    run(new_jobs, "top", "right")
    assert claim(new_jobs) == WAITING
    run(new_jobs, "left", "i")


def test_chain_of_a_thousand_runs_in_order(new_jobs: Jobs) -> None:
    ids = [f"i{number:04}" for number in range(1000)]
    entries = [
        entry(ids[0]),
        *(entry(later, before) for before, later in pairwise(ids)),
    ]
    for start in range(0, 1000, 125):
        answers = new_jobs.apply(ALICE, *entries[start : start + 125])
        assert {answer for answer, _ in answers} == {"ok"}
    assert set(new_jobs.codes(WANDA, "claim", *ids[1:129])) == {"waiting"}
    for start in range(0, 1000, 50):
        steps: list[dict[str, object]] = []
        for item_id in ids[start : start + 50]:
            steps.append({"action": "claim", "item_id": item_id})
            steps.append({"action": "complete", "item_id": item_id, "result_uri": "r"})
        assert claim(new_jobs, ids[-1]) == WAITING
        assert {answer for answer, _ in new_jobs.apply(WANDA, *steps)} == {"ok"}
    assert new_jobs.record(ids[-1])["status"] == "completed"


def test_repeated_id_counts_once(new_jobs: Jobs) -> None:
    new_jobs.put("completed", "first")
    assert submit(new_jobs, "i", "first", "first") == "ok"
    assert claim(new_jobs) == "ok"


def test_waiting_item_is_cancelled_and_stopped(new_jobs: Jobs) -> None:
    new_jobs.put("failed", "first")
    for action in ("cancel", "stop"):
        submit(new_jobs, action, "first")
        assert new_jobs.codes(ALICE, action, action) == ["ok"]
        assert new_jobs.record(action)["status"] == "cancelled"


def test_anybody_may_come_after_anybodys_items(new_jobs: Jobs) -> None:
    new_jobs.put("submitted", "first")
    assert new_jobs.apply(STRANGER, entry("i", "first")) == [("ok", 0)]


def test_largest_batch_that_waits_is_answered(new_jobs: Jobs) -> None:
    """Every entry reads eight others, and still uses a small part of what a transaction may."""
    first = [f"first-{number}" for number in range(8)]
    new_jobs.codes(ALICE, "submit", *first, payload_uri="p")
    ids = [f"i{number}" for number in range(128)]
    answers = new_jobs.apply(ALICE, *(entry(item_id, *first) for item_id in ids))
    assert {answer for answer, _ in answers} == {"ok"}
    new_jobs.chain.block()
    receipt = new_jobs.send(WANDA, "claim_items", item_ids=ids)
    assert {answer for answer, _ in new_jobs.decode(receipt)} == {WAITING}
    assert receipt.chi < 100_000
