"""Batches: each entry is answered by itself, whatever the others are, up to the largest size."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xian_runtime_types.decimal import ContractingDecimal
from xian_runtime_types.time import Datetime, Timedelta

from .jobs import ALICE, FIRST, WALT, WANDA, Jobs
from .vm import CHI_LIMIT, RECEIPT_LIMIT

MAX_BATCH = 128
PRINTABLE = "".join(map(chr, range(32, 127)))
BAD = {
    "entry": "invalid: an entry is a dict with an item_id and, for apply_items, an action",
    "item_id": "invalid: item_id must be 1 to 128 of the characters A-Z a-z 0-9 _ -",
    "kind": "invalid: kind must be at most 64 of the characters A-Z a-z 0-9 _ -",
    "payload_uri": "invalid: payload_uri must be at most 1024 printable ASCII characters",
    "metadata_ref": "invalid: metadata_ref must be at most 1024 printable ASCII characters",
    "result_uri": "invalid: result_uri must be at most 1024 printable ASCII characters",
    "reason": "invalid: reason must be at most 512 printable ASCII characters",
    "attempt": "invalid: attempt must be an integer from 0 to 1000000000",
    "lease_seconds": "invalid: lease_seconds must be 0 or an integer from 5 to 86400",
    "client": "invalid: client must be at most 64 of the characters A-Z a-z 0-9 _ -",
    "priority": "invalid: priority must be an integer from 0 to 9",
    "not_before": (
        "invalid: not_before must be an integer from 0 to 253402300799, "
        "in seconds since 1970 in UTC"
    ),
    "after": "invalid: after must be a list of at most 8 item_ids",
}
OF_THE_CHAIN = [Datetime(2026, 1, 1), Timedelta(seconds=5), ContractingDecimal("5")]
"""What a transaction can carry beside the types of JSON."""
NO_TEXT = [5, 1.5, True, ["a"], {"a": "b"}, [[]], b"a", 10**30, *OF_THE_CHAIN]
BAD_TEXT = [*NO_TEXT, "a\u0000b", "\u0000", "a\nb", "é", "aé", "\u007f", "日本"]
BAD_ID = [*BAD_TEXT, None, "", "a:b", "a.b", "a/b", "a b", ":", "i" * 129, "i" * 200_000]
NO_INTEGER = ["1", "", 1.0, True, False, [1], [], {"a": 1}, {}, 10**400, *OF_THE_CHAIN]
NO_LIST = ["i", "", "a b", 0, 1, False, True, {}, {"i": 1}, b"a", *OF_THE_CHAIN]


def submit(item_id: str, **fields: Any) -> dict[str, Any]:
    return {"action": "submit", "item_id": item_id, "payload_uri": "p", **fields}


@pytest.mark.parametrize(
    "entry", [None, 5, 1.5, True, "submit", [], ["submit"], [{}], *OF_THE_CHAIN]
)
def test_entry_must_be_a_dict(jobs: Jobs, entry: Any) -> None:
    good = submit("good")
    assert jobs.apply(ALICE, entry, good, entry) == [
        (BAD["entry"], 0),
        ("ok", 0),
        (BAD["entry"], 0),
    ]


@pytest.mark.parametrize(
    "action", [None, "", "Submit", "delete", 5, True, [], ["submit"], {}, *OF_THE_CHAIN]
)
def test_unknown_action_is_refused(jobs: Jobs, action: Any) -> None:
    assert jobs.apply(ALICE, {"action": action, "item_id": "i", "payload_uri": "p"}) == [
        (BAD["entry"], 0)
    ]


def refused_values(jobs: Jobs) -> list[tuple[str, str, Any]]:
    long = "x" * 1025
    cases = [(action, "item_id", value) for action in ("submit", "claim") for value in BAD_ID]
    for field in ("kind", "client"):
        cases += [("submit", field, value) for value in [*BAD_TEXT, "a:b", "a b", "k" * 65]]
    cases += [("submit", "payload_uri", value) for value in [*BAD_TEXT, None, long]]
    cases += [("submit", "metadata_ref", value) for value in [*BAD_TEXT, long]]
    cases += [("complete", "result_uri", value) for value in [*BAD_TEXT, None, long]]
    for action in ("fail", "cancel"):
        cases += [(action, "reason", value) for value in [*BAD_TEXT, "x" * 513]]
    for action in ("complete", "renew", "release", "fail"):
        cases += [(action, "attempt", value) for value in [*NO_INTEGER, -1, 1_000_000_001]]
    for action in ("claim", "renew"):
        cases += [(action, "lease_seconds", value) for value in [*NO_INTEGER, -1, 4, 86_401]]
    if jobs.version is FIRST:
        # The second takes None for what is not given.
        cases += [("fail", "reason", None), ("renew", "attempt", None)]
        cases += [("claim", "lease_seconds", None)]
        return cases
    cases += [("stop", "reason", value) for value in [*BAD_TEXT, "x" * 513]]
    cases += [("cancel", "attempt", value) for value in [*NO_INTEGER, -1]]
    cases += [(action, "item_id", value) for action in ("stop", "archive") for value in BAD_ID]
    cases += [("submit", "priority", value) for value in [*NO_INTEGER, -1, 10, 10**18]]
    cases += [("submit", "not_before", value) for value in [*NO_INTEGER, -1, 253_402_300_800]]
    cases += [("submit", "not_before", "2026-03-01 12:00:00")]
    cases += [("submit", "after", value) for value in [*NO_LIST, *([value] for value in BAD_ID)]]
    cases += [("submit", "after", [f"i{number}" for number in range(9)])]
    return cases


def test_invalid_values_are_refused(jobs: Jobs) -> None:
    """Each goes between two good entries, in batches, and fails neither."""
    good_fields = {"payload_uri": "p", "result_uri": "r", "reason": "r"}
    cases = refused_values(jobs)
    for number, start in enumerate(range(0, len(cases), MAX_BATCH - 2)):
        part = cases[start : start + MAX_BATCH - 2]
        entries = [
            {"action": action, "item_id": "i", **good_fields, field: value}
            for action, field, value in part
        ]
        first, *answers, last = jobs.apply(
            ALICE, submit(f"first{number}"), *entries, submit(f"last{number}")
        )
        assert first == last == ("ok", 0)
        for case, (answer, _) in zip(part, answers, strict=True):
            assert answer == BAD[case[1]], case
    assert jobs.record() is None


def test_fields_of_other_actions_have_no_effect(jobs: Jobs) -> None:
    others = {"result_uri": "r", "reason": "r", "attempt": 7, "lease_seconds": 9, "unknown": [None]}
    assert jobs.apply(ALICE, submit("i", status="completed", **others)) == [("ok", 0)]
    plain = jobs.put("submitted", "j")
    assert jobs.record("i").keys() == plain.keys()
    claim = {"action": "claim", "item_id": "i", "kind": "other", "payload_uri": "x", **others}
    assert jobs.apply(WANDA, claim) == [("ok", 1)]
    record = jobs.record("i")
    assert (record["kind"], record["payload_uri"], record["failure_reason"]) == ("job", "p", "")
    # The first version looks at a reason that is none, the second does not.
    assert jobs.apply(WANDA, {"action": "claim", "item_id": "j", "reason": 5}) == [
        (BAD["reason"], 0) if jobs.version is FIRST else ("ok", 1)
    ]


TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
LEAVES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(-1e30, 1e30)
ANYTHING = st.recursive(
    LEAVES | TEXTS | st.sampled_from(["i", "j", "submit", "claim"]),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(TEXTS, some, max_size=3),
    max_leaves=6,
)
SENSIBLE: dict[str, st.SearchStrategy[Any]] = {
    "action": st.sampled_from(
        ["submit", "claim", "complete", "fail", "cancel", "retry", "renew", "stop", "archive"]
    ),
    "item_id": st.sampled_from(["i", "j"]),
    "payload_uri": st.just("p"),
    "result_uri": st.just("r"),
    "reason": st.just("r"),
    "attempt": st.integers(0, 2),
    "lease_seconds": st.just(5),
    "kind": st.just("k"),
    "metadata_ref": st.just("m"),
    "client": st.just("c"),
    "priority": st.integers(0, 9),
    "not_before": st.sampled_from([0, 1, 253_402_300_799]),
    "after": st.lists(st.sampled_from(["i", "j"]), max_size=2),
}
ENTRIES = ANYTHING | st.fixed_dictionaries(
    {}, optional={field: value | ANYTHING for field, value in SENSIBLE.items()}
)


def test_batch_answers_every_entry(jobs: Jobs) -> None:
    @settings(max_examples=30, deadline=None, derandomize=True, database=None)
    @given(st.lists(ENTRIES, max_size=8), st.sampled_from([ALICE, WANDA]), ANYTHING)
    def run(batch: list[Any], who: str, lease: Any) -> None:
        for function in ("apply_items", "submit_items", "complete_items", "fail_items"):
            assert len(jobs.batch(who, function, batch=batch)) == len(batch)
        claims = jobs.batch(who, "claim_items", item_ids=batch, lease_seconds=lease)
        assert len(claims) == len(jobs.read("get_items", item_ids=batch)) == len(batch)

    run()


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (
            "apply_items",
            {"batch": [submit("i"), submit("j", kind="\ud800")]},
            "unsupported Python value at VM boundary: str",
        ),
        (
            "claim_items",
            {"item_ids": ["i"], "lease_seconds": 1e61},
            "Value 1E+61 exceeds the supported decimal range.",
        ),
    ],
)
def test_invalid_vm_value_fails_the_call(
    jobs: Jobs, function: str, arguments: dict[str, Any], message: str
) -> None:
    """It never reaches the contract: writers have to keep it out."""
    assert jobs.refusal(ALICE, function, **arguments) == message


def test_missing_fields_are_refused(jobs: Jobs) -> None:
    jobs.put("processing")
    assert jobs.apply(WANDA, {}, {"action": "claim"}, {"item_id": "i"}) == [
        (BAD["entry"], 0),
        (BAD["item_id"], 0),
        (BAD["entry"], 0),
    ]
    assert jobs.apply(
        WANDA,
        {"action": "submit", "item_id": "j"},
        {"action": "complete", "item_id": "i"},
        {"action": "fail", "item_id": "i"},
    ) == [
        (BAD["payload_uri"], 0),
        (BAD["result_uri"], 0),
        (BAD["reason"], 0) if jobs.version is FIRST else ("ok", 1),
    ]


@pytest.mark.parametrize(
    ("function", "arguments", "field"),
    [
        ("submit_item", {"payload_uri": "x" * 1025}, "payload_uri"),
        ("submit_item", {"payload_uri": "p", "kind": "k" * 65}, "kind"),
        ("submit_item", {"payload_uri": "p", "client": "c" * 65}, "client"),
        ("submit_item", {"payload_uri": "p", "metadata_ref": "\u0000"}, "metadata_ref"),
        ("submit_item", {"payload_uri": "p", "item_id": "a:b"}, "item_id"),
        ("claim_item", {"lease_seconds": 4}, "lease_seconds"),
        ("claim_item", {"lease_seconds": True}, "lease_seconds"),
        ("complete_item", {"result_uri": "x" * 1025}, "result_uri"),
        ("fail_item", {"reason": "x" * 513}, "reason"),
        ("complete_item", {"result_uri": "r", "attempt": -1}, "attempt"),
    ],
)
def test_single_functions_name_the_limit(
    jobs: Jobs, function: str, arguments: dict[str, Any], field: str
) -> None:
    assert jobs.refusal(WANDA, function, **{"item_id": "i", **arguments}) == BAD[field]


def test_values_at_the_limits_are_accepted(jobs: Jobs) -> None:
    item_id, text = "i" * 128, (PRINTABLE * 11)[:1024]
    assert jobs.apply(
        WANDA,
        submit(item_id, payload_uri=text, metadata_ref=text, kind="k" * 64, client="c" * 64),
        {"action": "claim", "item_id": item_id, "lease_seconds": 86400},
        {"action": "renew", "item_id": item_id, "lease_seconds": 5, "attempt": 1},
        {"action": "complete", "item_id": item_id, "result_uri": text, "attempt": 1},
        submit("a"),
        {"action": "claim", "item_id": "a"},
        {"action": "fail", "item_id": "a", "reason": text[:512]},
    ) == [("ok", attempt) for attempt in (0, 1, 1, 1, 0, 1, 1)]
    record = jobs.record(item_id)
    assert (record["payload_uri"], record["metadata_ref"], record["result_uri"]) == (text,) * 3
    assert record["client"] == "c" * 64
    assert jobs.shown(item_id).items() >= record.items()


def test_empty_kind_is_a_job(jobs: Jobs) -> None:
    none = {"kind": None, "metadata_ref": None, "client": None}
    jobs.apply(ALICE, submit("a"), submit("b", kind=""), submit("c", **none))
    assert [jobs.record(item_id)["kind"] for item_id in "abc"] == ["job"] * 3
    assert (jobs.record("c")["metadata_ref"], jobs.record("c")["client"]) == ("", "")


def test_entries_see_earlier_entries(jobs: Jobs) -> None:
    entries = [
        submit("i"),
        submit("i"),
        {"action": "claim", "item_id": "i"},
        {"action": "claim", "item_id": "i"},
        {"action": "fail", "item_id": "i", "reason": "r", "attempt": 1},
        {"action": "retry", "item_id": "i"},
        {"action": "claim", "item_id": "i"},
        {"action": "release", "item_id": "i", "attempt": 2},
        {"action": "cancel", "item_id": "i"},
    ]
    receipt = jobs.send(WANDA, "apply_items", batch=entries)
    assert jobs.decode(receipt) == [
        ("ok", 0),
        ("exists: there is an item with this item_id", 0),
        ("ok", 1),
        ("state: this worker holds the item already", 1),
        ("ok", 1),
        ("ok", 1),
        ("ok", 2),
        ("ok", 2),
        ("ok", 2),
    ]
    assert [name for name, _ in receipt.named_events] == [
        "ItemSubmitted",
        "ItemClaimed",
        "ItemFailed",
        "ItemSubmitted",
        "ItemClaimed",
        "ItemSubmitted",
        "ItemCancelled",
    ]


def test_named_batches_equal_apply_items(jobs: Jobs) -> None:
    ok = [("ok", 0), ("ok", 0)]
    claimed = [("ok", 1), ("ok", 1)]
    entries = [{"item_id": "a", "payload_uri": "p"}, {"item_id": "b", "payload_uri": "p"}]
    assert jobs.batch(ALICE, "submit_items", batch=entries) == ok
    claim = {"item_ids": ["a", "b"], "lease_seconds": 60}
    assert jobs.batch(WANDA, "claim_items", **claim) == claimed
    assert jobs.record("a")["lease_seconds"] == 60
    batch = [{"item_id": item_id, "attempt": 1, "reason": "broken"} for item_id in "ab"]
    assert jobs.batch(WANDA, "renew_items", batch=batch) == claimed
    assert jobs.batch(WANDA, "fail_items", batch=batch) == claimed
    assert jobs.batch(ALICE, "retry_items", item_ids=["a", "b", 5]) == [
        *claimed,
        (BAD["item_id"], 0),
    ]
    jobs.batch(WANDA, "claim_items", item_ids=["a", "b"])
    assert jobs.batch(WANDA, "release_items", batch=[{"item_id": "a"}]) == [("ok", 2)]
    assert jobs.batch(WANDA, "complete_items", batch=[{"item_id": "b", "result_uri": "r"}]) == [
        ("ok", 2)
    ]
    assert jobs.batch(ALICE, "cancel_items", batch=[{"item_id": "a", "reason": "r"}]) == [("ok", 2)]
    statuses = [record["status"] for record in jobs.read("get_items", item_ids=["a", "b"])]
    assert statuses == ["cancelled", "completed"]


def test_named_batch_ignores_action_of_entries(jobs: Jobs) -> None:
    jobs.put("submitted")
    assert jobs.batch(ALICE, "cancel_items", batch=[{"action": "retry", "item_id": "i"}]) == [
        ("ok", 0)
    ]


@pytest.mark.parametrize("batch", [None, 5, "abc", {}, {"item_id": "i"}, [{}] * (MAX_BATCH + 1)])
def test_invalid_batch_is_refused(jobs: Jobs, batch: Any) -> None:
    message = "a batch is a list of at most 128 entries"
    for function in ("apply_items", "submit_items", "complete_items", "release_items"):
        assert jobs.refusal(ALICE, function, batch=batch) == message
    for function in ("claim_items", "retry_items", "get_items"):
        assert jobs.refusal(ALICE, function, item_ids=batch) == message


def test_empty_batch_is_answered(jobs: Jobs) -> None:
    assert jobs.apply(ALICE) == []


def test_largest_batch_of_ordinary_items_fits(jobs: Jobs) -> None:
    """Every action fits its 128 entries into what a transaction may write, use and answer."""
    ids = [f"0f8fad5b-d9cb-469f-a165-{number:012d}" for number in range(MAX_BATCH)]
    uri = "https://api.example.org/tenants/0042/orders/{}/payload.json"
    steps: list[tuple[str, str, dict[str, Any]]] = [
        (
            ALICE,
            "submit",
            {"kind": "order", "metadata_ref": "invoice-2026-03-000042", "client": "web-shop"},
        ),
        (WANDA, "claim", {"lease_seconds": 300}),
        (WALT, "claim", {"lease_seconds": 300}),
        (WANDA, "renew", {"attempt": 1, "lease_seconds": 300}),
        (WANDA, "fail", {"attempt": 1, "reason": "ValueError: the order has no lines"}),
        (ALICE, "retry", {}),
        (WANDA, "claim", {}),
        (WANDA, "release", {"attempt": 2}),
        (WANDA, "claim", {}),
        (WANDA, "complete", {"attempt": 3}),
    ]
    for sender, action, fields in steps:
        entries = [{"action": action, "item_id": item_id, **fields} for item_id in ids]
        for entry in entries:
            if action == "submit":
                entry["payload_uri"] = uri.format(entry["item_id"])
            if action == "complete":
                entry["result_uri"] = uri.format(entry["item_id"]).replace("payload", "result")
        receipt = jobs.send(sender, "apply_items", batch=entries)
        expected = "leased" if sender == WALT else "ok"
        assert {answer.partition(":")[0] for answer, _ in jobs.decode(receipt)} == {expected}
        assert receipt.chi < CHI_LIMIT / 10
        jobs.chain.block()
    assert len(jobs.read("get_items", item_ids=ids)) == MAX_BATCH


def test_oversized_batch_changes_nothing(jobs: Jobs) -> None:
    entries = [submit(f"i{number}", payload_uri="x" * 1024) for number in range(MAX_BATCH)]
    message = jobs.refusal(ALICE, "apply_items", batch=entries)
    assert message == "You have exceeded the maximum write capacity per transaction!"


def test_answers_of_full_batch_fit_a_receipt(jobs: Jobs) -> None:
    jobs.put("processing")
    item = {**jobs.stored(), "attempt": 999_999}
    ids = [f"i{number}" for number in range(MAX_BATCH)]
    for item_id in ids:
        jobs.chain.driver.set(f"con_job_workflow.items:{item_id}", {**item, "item_id": item_id})
    receipt = jobs.send(WALT, "claim_items", item_ids=ids)
    assert len(receipt.result) <= RECEIPT_LIMIT
    assert {attempt for _, attempt in jobs.decode(receipt)} == {999_999}
    assert len(jobs.decode(receipt)) == MAX_BATCH


def test_messages_need_no_escape_anywhere(jobs: Jobs) -> None:
    for message in jobs.read("get_answers").values():
        assert message.isascii()
        assert not set("'\"\\") & set(message)
