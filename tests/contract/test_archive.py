"""What has ended leaves the state after the retention; its id and its digest stay for ever."""

from hashlib import sha256
from typing import Any

import pytest

from .jobs import ALICE, OPERATOR, STRANGER, WALT, WANDA, Jobs

EARLY = "early: the retention of ended items has not passed, or none is set"
ARCHIVED = "archived: the record of the item has left the state"
ENDED = ["completed", "failed", "cancelled"]
ODD = "it's \"so\" \\ it = {'x': 1}"


def record_digest(record: dict[str, Any]) -> str:
    """Return what a record's tombstone holds: the digest of its fields as lines, in order."""
    record = {**record, **({"after": " ".join(record["after"])} if "after" in record else {})}
    return sha256(
        "\n".join(f"{name}={record[name]}" for name in sorted(record)).encode()
    ).hexdigest()


@pytest.fixture
def kept(new_jobs: Jobs) -> Jobs:
    """The retention is an hour."""
    new_jobs.send(OPERATOR, "set_retention", seconds=3600)
    return new_jobs


def archive(jobs: Jobs, *item_ids: str, who: str = STRANGER) -> list[str]:
    return [answer for answer, _ in jobs.batch(who, "archive_items", item_ids=list(item_ids))]


def archive_at_last(jobs: Jobs, item_id: str = "i") -> dict[str, Any]:
    """Archive an item and return its record as it last stood."""
    assert archive(jobs, item_id) == [EARLY]
    jobs.chain.block(3600)
    record: dict[str, Any] = jobs.stored(item_id)
    assert archive(jobs, item_id) == ["ok"]
    return record


@pytest.mark.parametrize("status", ENDED)
def test_tombstone_stays_of_an_ended_item(kept: Jobs, status: str) -> None:
    kept.put(status)
    assert archive(kept, "i") == [EARLY]
    kept.chain.block(3600)
    record = kept.stored()
    receipt = kept.send(STRANGER, "archive_items", item_ids=["i"])
    digest, attempt = record_digest(record), record["attempt"]
    assert kept.decode(receipt) == [("ok", attempt)]
    assert receipt.named_events == [
        (
            "ItemArchived",
            {"item_id": "i", "actor": STRANGER, "ended": status, "digest": digest},
        )
    ]
    assert kept.stored() == {
        "item_id": "i",
        "status": "archived",
        "ended": status,
        "attempt": attempt,
        "digest": digest,
    }


def test_digest_covers_every_field(kept: Jobs) -> None:
    kept.put("completed", "first")
    kept.put("completed", "second")
    kept.apply(
        ALICE,
        {
            "action": "submit",
            "item_id": "i",
            "payload_uri": ODD,
            "metadata_ref": ODD,
            "kind": "order",
            "client": "web-shop",
            "priority": 0,
            "not_before": 1,
            "after": ["first", "second"],
        },
    )
    kept.chain.block()
    kept.send(WANDA, "claim_item", item_id="i")
    kept.send(ALICE, "stop_item", item_id="i", reason=ODD)
    kept.send(WANDA, "fail_item", item_id="i", reason=ODD)
    kept.chain.block()
    record = archive_at_last(kept)
    assert record["after"] == ["first", "second"]
    assert len(record) == 21  # all that a record may have but for a result
    assert kept.stored()["digest"] == record_digest(record)
    for name, value in record.items():
        assert (
            record_digest({**record, name: [] if name == "after" else f"{value}0"})
            != (kept.stored()["digest"])
        )


def test_archived_item_shows_status_and_digest(kept: Jobs) -> None:
    kept.put("completed")
    archive_at_last(kept)
    shown = kept.read("get_item", item_id="i")
    assert {name: value for name, value in shown.items() if value is not None} == kept.stored()
    assert shown.keys() == kept.read("get_item", item_id="none").keys()


def test_archived_id_is_refused_for_ever(kept: Jobs) -> None:
    kept.put("completed")
    archive_at_last(kept)
    tombstone = kept.stored()
    for who in (ALICE, WANDA, OPERATOR, STRANGER):
        for action, fields in {
            "submit": {"payload_uri": "p"},
            "claim": {},
            "complete": {"result_uri": "r"},
            "fail": {},
            "renew": {},
            "release": {},
            "cancel": {},
            "retry": {},
            "stop": {},
            "archive": {},
        }.items():
            answer = kept.apply(who, {"action": action, "item_id": "i", **fields})
            assert answer == [(ARCHIVED, 1)], action
    assert kept.refusal(ALICE, "submit_item", item_id="i", payload_uri="p") == ARCHIVED
    kept.chain.block(10**6)
    assert archive(kept, "i", "i") == [ARCHIVED, ARCHIVED]
    assert kept.stored() == tombstone


@pytest.mark.parametrize("status", ["submitted", "processing"])
def test_item_that_has_not_ended_is_not_archived(kept: Jobs, status: str) -> None:
    before = kept.put(status)
    kept.chain.block(10**6)
    assert archive(kept, "i", "none") == [
        f"state: the item is {status}",
        "missing: there is no item with this item_id",
    ]
    assert kept.record() == before


def test_nothing_is_archived_without_retention(new_jobs: Jobs) -> None:
    before = new_jobs.put("completed")
    for _ in range(2):
        new_jobs.chain.block(10**6)
        assert archive(new_jobs, "i", who=OPERATOR) == [EARLY]
    assert new_jobs.record() == before
    new_jobs.send(OPERATOR, "set_retention", seconds=60)
    archive(new_jobs, "i")
    new_jobs.send(OPERATOR, "set_retention", seconds=0)
    new_jobs.chain.block(10**6)
    assert archive(new_jobs, "i") == [EARLY]


def test_item_is_not_archived_before_its_time(kept: Jobs) -> None:
    kept.put("completed")
    archive(kept, "i")
    kept.chain.block(3599.999999)
    before = kept.record()
    assert archive(kept, "i", "i") == [EARLY, EARLY]
    assert kept.record() == before
    kept.chain.block(0.000001)
    assert archive(kept, "i") == ["ok"]


def test_idle_time_before_the_end_does_not_count(kept: Jobs) -> None:
    """A block's `now` is that of the block before: an end after an idle day looks a day old."""
    kept.put("processing")
    kept.send(WANDA, "complete_item", item_id="i", result_uri="r")
    kept.chain.block(86_400)
    assert archive(kept, "i") == [EARLY]
    kept.chain.block(3599)
    assert archive(kept, "i") == [EARLY]
    kept.chain.block(1)
    assert archive(kept, "i") == ["ok"]


def test_block_of_the_end_starts_no_clock(kept: Jobs) -> None:
    kept.put("processing")
    kept.send(WANDA, "complete_item", item_id="i", result_uri="r")
    before = kept.record()
    assert archive(kept, "i") == [EARLY]
    assert kept.record() == before


def test_retry_stops_the_clock(kept: Jobs) -> None:
    kept.put("failed")
    assert archive(kept, "i") == [EARLY]
    kept.chain.block(3599)
    kept.send(ALICE, "retry_item", item_id="i")
    kept.send(WALT, "claim_item", item_id="i")
    kept.send(WALT, "fail_item", item_id="i", reason="again")
    kept.chain.block(3600)
    assert archive(kept, "i") == [EARLY]
    kept.chain.block(3600)
    assert archive(kept, "i") == ["ok"]


def test_retention_counts_as_it_is_now(kept: Jobs) -> None:
    kept.put("completed")
    archive(kept, "i")
    kept.chain.block(60)
    kept.send(OPERATOR, "set_retention", seconds=61)
    assert archive(kept, "i") == [EARLY]
    kept.send(OPERATOR, "set_retention", seconds=60)
    assert archive(kept, "i") == ["ok"]


def test_operator_sets_the_retention(new_jobs: Jobs) -> None:
    receipt = new_jobs.send(OPERATOR, "set_retention", seconds=315_360_000)
    assert receipt.named_events == [
        ("RetentionChanged", {"seconds": 315_360_000, "actor": OPERATOR})
    ]
    assert new_jobs.chain.driver.get("con_job_workflow.metadata:retention") == 315_360_000
    for who in (ALICE, WANDA, STRANGER):
        assert new_jobs.refusal(who, "set_retention", seconds=1) == "only the operator may do this"


@pytest.mark.parametrize("seconds", [-1, 315_360_001, 1.5, True, "60", None, [60], 10**400])
def test_invalid_retention_is_refused(new_jobs: Jobs, seconds: Any) -> None:
    assert new_jobs.refusal(OPERATOR, "set_retention", seconds=seconds) == (
        "seconds must be an integer from 0 to 315360000"
    )


def test_longest_retention_is_waited_for(new_jobs: Jobs) -> None:
    new_jobs.send(OPERATOR, "set_retention", seconds=315_360_000)
    new_jobs.put("completed")
    assert archive(new_jobs, "i") == [EARLY]
    new_jobs.chain.block(315_359_999)
    assert archive(new_jobs, "i") == [EARLY]
    new_jobs.chain.block(1)
    assert archive(new_jobs, "i") == ["ok"]


@pytest.mark.parametrize("item_ids", [None, "i", {}, ["i"] * 129])
def test_invalid_batch_is_refused(kept: Jobs, item_ids: Any) -> None:
    assert kept.refusal(ALICE, "archive_items", item_ids=item_ids) == (
        "a batch is a list of at most 128 entries"
    )


def test_largest_batch_is_archived(kept: Jobs) -> None:
    ids = [f"0f8fad5b-d9cb-469f-a165-{number:012d}" for number in range(128)]
    uri = "https://api.example.org/tenants/0042/orders/payload.json"
    kept.codes(ALICE, "submit", *ids, payload_uri=uri, client="web-shop", kind="order")
    kept.codes(ALICE, "cancel", *ids, reason="no need")
    kept.chain.block()
    assert set(kept.codes(STRANGER, "archive", *ids)) == {"early"}
    kept.chain.block(3600)
    assert set(kept.codes(STRANGER, "archive", *ids)) == {"ok"}
