"""The operator pauses the claims of a kind or of all; what is held may end."""

from typing import Any

import pytest

from .jobs import ALICE, NAME, OPERATOR, STRANGER, WALT, WANDA, Jobs

PAUSED = "paused: the operator has paused claims of this kind"
NOW = 1_772_366_400  # when the tests' chain begins


@pytest.fixture
def orders(new_jobs: Jobs) -> Jobs:
    """There are items "order" and "job" of these kinds, and "held" of both is Wanda's."""
    for kind in ("order", "job"):
        for item_id in (kind, f"held-{kind}"):
            new_jobs.send(ALICE, "submit_item", item_id=item_id, payload_uri="p", kind=kind)
        new_jobs.send(WANDA, "claim_item", item_id=f"held-{kind}", lease_seconds=5)
    new_jobs.chain.block()
    return new_jobs


def pauses(jobs: Jobs) -> Any:
    return jobs.chain.driver.get(f"{NAME}.metadata:pauses")


def claims(jobs: Jobs) -> list[str]:
    """Return what claims of the order and the job are answered, and undo them."""
    with jobs.chain.unchanged():
        return jobs.codes(WANDA, "claim", "order", "job")


def test_claims_of_a_kind_are_refused(orders: Jobs) -> None:
    orders.send(OPERATOR, "pause_claims", kind="order")
    assert claims(orders) == ["paused", "ok"]
    assert orders.refusal(WANDA, "claim_item", item_id="order") == PAUSED
    orders.send(OPERATOR, "resume_claims", kind="order")
    assert claims(orders) == ["ok", "ok"]


def test_claims_of_all_kinds_are_refused(orders: Jobs) -> None:
    orders.send(OPERATOR, "pause_claims")
    assert claims(orders) == ["paused", "paused"]
    assert orders.refusal(OPERATOR, "resume_claims", kind="order") == (
        "claims of this kind are not paused"
    )
    orders.send(OPERATOR, "resume_claims")
    assert claims(orders) == ["ok", "ok"]


def test_both_pauses_have_to_end(orders: Jobs) -> None:
    orders.send(OPERATOR, "pause_claims")
    orders.send(OPERATOR, "pause_claims", kind="order")
    orders.send(OPERATOR, "resume_claims")
    assert claims(orders) == ["paused", "ok"]
    orders.send(OPERATOR, "pause_claims")
    orders.send(OPERATOR, "resume_claims", kind="order")
    assert claims(orders) == ["paused", "paused"]


def test_pause_ends_by_itself(orders: Jobs) -> None:
    until = int(orders.chain.now.timestamp()) + 60
    orders.send(OPERATOR, "pause_claims", until=until)
    orders.send(OPERATOR, "pause_claims", kind="order", until=until + 60)
    orders.chain.block(59.999999)
    assert claims(orders) == ["paused", "paused"]
    orders.chain.block(0.000001)
    assert claims(orders) == ["paused", "ok"]
    orders.chain.block(60)
    assert claims(orders) == ["ok", "ok"]
    assert set(pauses(orders)) == {"*", "order"}  # until somebody resumes them


def test_pause_that_has_ended_may_be_renewed(orders: Jobs) -> None:
    orders.send(OPERATOR, "pause_claims", until=1)
    assert claims(orders) == ["ok", "ok"]
    orders.send(OPERATOR, "pause_claims", until=253_402_300_799)
    assert claims(orders) == ["paused", "paused"]


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("complete", {"result_uri": "r"}),
        ("fail", {"reason": "broken"}),
        ("renew", {}),
        ("release", {}),
    ],
)
def test_what_is_held_may_end(orders: Jobs, action: str, fields: dict[str, Any]) -> None:
    orders.send(OPERATOR, "pause_claims")
    assert orders.codes(WANDA, action, "held-order", **fields) == ["ok"]
    if action == "release":
        assert orders.codes(WANDA, "claim", "held-order") == ["paused"]


def test_take_over_is_a_claim(orders: Jobs) -> None:
    orders.codes(WALT, "claim", "held-order", "held-job")
    orders.send(OPERATOR, "pause_claims", kind="order")
    orders.chain.block(5)
    assert orders.codes(WALT, "claim", "held-order", "held-job") == ["paused", "ok"]
    orders.send(OPERATOR, "resume_claims", kind="order")
    assert orders.codes(WALT, "claim", "held-order") == ["ok"]


def test_requesters_go_on(orders: Jobs) -> None:
    orders.send(OPERATOR, "pause_claims")
    assert orders.codes(ALICE, "submit", "new", payload_uri="p") == ["ok"]
    assert orders.codes(ALICE, "cancel", "new") == ["ok"]
    assert orders.codes(ALICE, "stop", "order", "held-order") == ["ok", "ok"]
    assert orders.codes(WANDA, "fail", "held-job", reason="broken") == ["ok"]
    assert orders.codes(ALICE, "retry", "held-job") == ["ok"]


def test_pause_is_emitted_and_stored(new_jobs: Jobs) -> None:
    until = NOW + 60
    receipt = new_jobs.send(OPERATOR, "pause_claims", kind="order", reason="broken", until=until)
    fields = {"kind": "order", "actor": OPERATOR}
    assert receipt.named_events == [
        ("ClaimsPaused", {**fields, "reason": "broken", "until": until})
    ]
    stored = {"actor": OPERATOR, "reason": "broken", "until": until}
    at = new_jobs.now
    assert pauses(new_jobs) == {"order": {**stored, "paused_at": at}}
    receipt = new_jobs.send(OPERATOR, "resume_claims", kind="order")
    assert receipt.named_events == [("ClaimsResumed", fields)]
    assert pauses(new_jobs) == {}
    assert new_jobs.send(OPERATOR, "pause_claims").named_events == [
        ("ClaimsPaused", {"kind": "*", "actor": OPERATOR, "reason": "", "until": 0})
    ]


def test_second_pause_replaces_the_first(new_jobs: Jobs) -> None:
    new_jobs.send(OPERATOR, "pause_claims", reason="one", until=NOW + 60)
    new_jobs.send(OPERATOR, "pause_claims", reason="other")
    assert (pauses(new_jobs)["*"]["reason"], pauses(new_jobs)["*"]["until"]) == ("other", 0)


@pytest.mark.parametrize("function", ["pause_claims", "resume_claims"])
def test_only_the_operator_pauses(orders: Jobs, function: str) -> None:
    orders.send(OPERATOR, "pause_claims")
    for who in (ALICE, WANDA, STRANGER):
        assert orders.refusal(who, function) == "only the operator may do this"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(
            ({"kind": kind}, "kind must be * for all kinds or 1 to 64 of A-Z a-z 0-9 _ -")
            for kind in ("", "a b", "a:b", "**", "k" * 65, 5, None, ["order"], True)
        ),
        *(
            ({"reason": reason}, "invalid: reason must be at most 512 printable ASCII characters")
            for reason in ("x" * 513, "a\u0000b", "é", 5, None, ["x"])
        ),
        *(
            (
                {"until": until},
                "until must be an integer from 0 to 253402300799, in seconds since 1970 in UTC",
            )
            for until in (-1, 253_402_300_800, 1.5, True, "2026-03-01 12:00:00", None, 10**400)
        ),
    ],
)
def test_invalid_pause_is_refused(new_jobs: Jobs, arguments: dict[str, Any], message: str) -> None:
    assert new_jobs.refusal(OPERATOR, "pause_claims", **arguments) == message
    assert pauses(new_jobs) is None


@pytest.mark.parametrize("kind", ["*", "order", "", 5, None, ["order"], {}])
def test_nothing_is_resumed_that_is_not_paused(new_jobs: Jobs, kind: Any) -> None:
    message = "claims of this kind are not paused"
    assert new_jobs.refusal(OPERATOR, "resume_claims", kind=kind) == message
    new_jobs.send(OPERATOR, "pause_claims", kind="other")
    assert new_jobs.refusal(OPERATOR, "resume_claims", kind=kind) == message


def test_number_of_pauses_is_bounded(orders: Jobs) -> None:
    for number in range(32):
        orders.send(OPERATOR, "pause_claims", kind=f"kind-{number}", reason="x" * 512)
    assert orders.refusal(OPERATOR, "pause_claims", kind="order") == (
        "at most 32 kinds may be paused at once"
    )
    orders.send(OPERATOR, "pause_claims", kind="kind-7")
    assert claims(orders) == ["ok", "ok"]
    orders.send(OPERATOR, "resume_claims", kind="kind-7")
    orders.send(OPERATOR, "pause_claims", kind="order")
    assert claims(orders) == ["paused", "ok"]
