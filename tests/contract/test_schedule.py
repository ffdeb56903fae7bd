"""An item's priority, and the time before which nobody claims it."""

from datetime import UTC, datetime

import pytest

from .jobs import ALICE, WALT, WANDA, Jobs

EARLY = "early: the time before which the item may not be claimed has not come"
LAST = 253_402_300_799  # the end of the year 9999


def seconds(jobs: Jobs) -> int:
    return int(jobs.chain.now.timestamp())


def submit(jobs: Jobs, **fields: object) -> None:
    jobs.send(ALICE, "submit_item", item_id="i", payload_uri="p", **fields)


def claim(jobs: Jobs, who: str = WANDA) -> str:
    [(answer, _)] = jobs.batch(who, "claim_items", item_ids=["i"])
    return answer


@pytest.mark.parametrize("priority", [0, 1, 5, 9])
def test_record_and_event_have_the_priority(new_jobs: Jobs, priority: int) -> None:
    receipt = new_jobs.send(
        ALICE,
        "submit_item",
        item_id="i",
        payload_uri="p",
        client="web-shop",
        priority=priority,
    )
    fields = {"item_id": "i", "kind": "job", "requester": ALICE}
    more = {"client": "web-shop", "priority": priority}
    assert receipt.named_events == [("ItemSubmitted", {**fields, **more})]
    assert [*receipt.events[0]["data"]] == ["client", "priority"]
    assert new_jobs.record()["priority"] == new_jobs.shown()["priority"] == priority
    new_jobs.send(WANDA, "claim_item", item_id="i")
    assert new_jobs.send(WANDA, "release_item", item_id="i").named_events == receipt.named_events
    assert new_jobs.record()["priority"] == priority


def test_priority_is_five_unless_given(new_jobs: Jobs) -> None:
    submit(new_jobs)
    assert "priority" not in new_jobs.stored()
    assert new_jobs.shown()["priority"] == 5
    none = {"priority": None, "not_before": None, "after": None}
    entry = {"action": "submit", "item_id": "j", "payload_uri": "p", **none}
    assert new_jobs.apply(ALICE, entry) == [("ok", 0)]
    assert new_jobs.stored("j").keys() == new_jobs.stored("i").keys()


def test_claim_before_its_time_is_refused(new_jobs: Jobs) -> None:
    submit(new_jobs, not_before=seconds(new_jobs) + 60)
    before = new_jobs.record()
    for step in (0, 59, 0.999999):
        new_jobs.chain.block(step)
        assert new_jobs.refusal(WANDA, "claim_item", item_id="i") == EARLY
        assert claim(new_jobs) == EARLY
    assert new_jobs.record() == before
    new_jobs.chain.block(0.000001)
    assert claim(new_jobs) == "ok"


def test_times_between_seconds_are_not_early(new_jobs: Jobs) -> None:
    new_jobs.chain.block(0.5)
    submit(new_jobs, not_before=seconds(new_jobs) + 1)
    new_jobs.chain.block(0.499999)
    assert claim(new_jobs) == EARLY
    new_jobs.chain.block(0.000001)
    assert claim(new_jobs) == "ok"


@pytest.mark.parametrize("ago", [0, 1, 10**6])
def test_time_that_has_come_is_no_obstacle(new_jobs: Jobs, ago: int) -> None:
    submit(new_jobs, not_before=seconds(new_jobs) - ago)
    assert claim(new_jobs) == "ok"


def test_refused_claim_makes_the_item_claimable_on_an_idle_chain(new_jobs: Jobs) -> None:
    """`now` is the time of the block before: any block after the time lets the next one claim."""
    submit(new_jobs, not_before=seconds(new_jobs) + 60)
    new_jobs.chain.block()  # an idle hour follows, and then the first of two blocks
    assert claim(new_jobs) == EARLY
    new_jobs.chain.block(3600)
    assert claim(new_jobs) == "ok"


def test_empty_batch_is_a_tick(new_jobs: Jobs) -> None:
    """It makes a block and is not refused, and costs less than a claim."""
    submit(new_jobs)
    tick = new_jobs.send(WANDA, "apply_items", batch=[])
    assert (tick.result, tick.named_events, tick.state) == ("''", [], [])
    assert tick.chi < new_jobs.send(WANDA, "claim_items", item_ids=["i"]).chi


def test_ends_of_the_calendar_are_times(new_jobs: Jobs) -> None:
    submit(new_jobs, not_before=LAST)
    assert new_jobs.record()["not_before"] == LAST
    assert datetime.fromtimestamp(LAST, UTC).isoformat() == "9999-12-31T23:59:59+00:00"
    assert claim(new_jobs) == EARLY
    new_jobs.apply(ALICE, {"action": "submit", "item_id": "j", "payload_uri": "p", "not_before": 1})
    assert new_jobs.codes(WANDA, "claim", "j") == ["ok"]


def test_item_is_cancelled_and_stopped_before_its_time(new_jobs: Jobs) -> None:
    for action in ("cancel", "stop"):
        entry = {"action": "submit", "item_id": action, "payload_uri": "p", "not_before": LAST}
        new_jobs.apply(ALICE, entry)
        assert new_jobs.codes(ALICE, action, action) == ["ok"]
        assert new_jobs.record(action)["status"] == "cancelled"


def test_time_stays_with_the_item(new_jobs: Jobs) -> None:
    submit(new_jobs, not_before=seconds(new_jobs) + 60)
    new_jobs.chain.block(60)
    new_jobs.send(WANDA, "claim_item", item_id="i", lease_seconds=5)
    new_jobs.chain.block()
    assert claim(new_jobs, WALT).startswith("leased: ")
    new_jobs.chain.block(5)
    assert claim(new_jobs, WALT) == "ok"
    new_jobs.send(WALT, "fail_item", item_id="i", reason="broken")
    new_jobs.send(ALICE, "retry_item", item_id="i")
    assert claim(new_jobs, WALT) == "ok"
    assert new_jobs.record()["not_before"] == seconds(new_jobs) - 6
