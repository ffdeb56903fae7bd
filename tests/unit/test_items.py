"""Items as the contract keeps them."""

from typing import Any

import pytest

from workflow_backend.errors import ForeignRecord
from workflow_backend.items import Item, record_digest

FIRST_VERSION = {
    "item_id": "i",
    "requester": "a" * 64,
    "kind": "job",
    "payload_uri": "uri:1",
    "metadata_ref": "",
    "client": "shop",
    "status": "processing",
    "worker": "b" * 64,
    "result_uri": "",
    "failure_reason": "",
    "created_at": "2026-01-01 00:00:00",
    "updated_at": "2026-01-01 00:00:01",
    "attempt": 2,
    "lease_seconds": 60,
    "contested_at": None,
}
SECOND_VERSION = {
    "item_id": "i",
    "requester": "a" * 64,
    "kind": "job",
    "payload_uri": "uri:1",
    "status": "submitted",
    "created_at": "2026-01-01 00:00:00",
    "updated_at": "2026-01-01 00:00:00",
    "attempt": 0,
    "revision": 1,
}
TOMBSTONE = {
    "item_id": "i",
    "status": "archived",
    "ended": "completed",
    "attempt": 2,
    "digest": "0" * 64,
}


def test_item_is_built_from_record_of_first_version() -> None:
    item = Item.from_record(FIRST_VERSION | {"more": 1}).as_dict()
    assert {name: item[name] for name in FIRST_VERSION} == FIRST_VERSION
    assert (item["revision"], item["priority"], item["after"]) == (0, 5, ())


def test_item_is_built_from_record_of_second_version() -> None:
    item = Item.from_record(SECOND_VERSION)
    assert (item.client, item.worker, item.lease_seconds, item.contested_at) == ("", "", 0, None)
    assert (item.revision, item.priority, item.not_before, item.after) == (1, 5, 0, ())
    ruled = SECOND_VERSION | {"priority": 0, "after": ["a", "b"], "contested_at": ""}
    item = Item.from_record(ruled)
    assert (item.priority, item.after, item.contested_at) == (0, ("a", "b"), None)


def test_archived_item_has_what_the_state_keeps() -> None:
    item = Item.from_record(TOMBSTONE)
    assert (item.status, item.ended, item.attempt) == ("archived", "completed", 2)
    assert (item.requester, item.payload_uri, item.archived_record) == ("", "", None)


def test_item_needs_no_client() -> None:
    record = {name: value for name, value in FIRST_VERSION.items() if name != "client"}
    assert Item.from_record(record).client == ""


def test_digest_of_record_ignores_the_order_of_its_fields() -> None:
    record = SECOND_VERSION | {"after": ["a", "b"]}
    assert record_digest(record) == record_digest(dict(reversed(record.items())))
    assert record_digest(record) != record_digest(record | {"revision": 2})


@pytest.mark.parametrize(
    "record", [{}, {"status": "submitted"}, {"status": "archived"}, "text", 5, ["status"]]
)
def test_foreign_record_is_refused(record: Any) -> None:
    with pytest.raises(ForeignRecord, match="not those of con_job_workflow"):
        Item.from_record(record)


@pytest.mark.parametrize(
    "odd",
    [
        {"attempt": "2"},
        {"attempt": -1},
        {"lease_seconds": [1]},
        {"revision": 10**30},
        {"priority": 10},
        {"not_before": 10**13},
        {"after": [1]},
        {"after": None},
        {"kind": {}},
        {"requester": None},
        {"worker": 5},
        {"status": "odd"},
        {"created_at": "soon"},
        {"updated_at": 5},
        {"created_at": None},
        {"stop_requested_at": "later"},
    ],
)
def test_record_with_a_field_of_another_form_is_refused(odd: dict[str, Any]) -> None:
    """An index may be a copy of somebody else's, and its records are of any form."""
    with pytest.raises(ForeignRecord):
        Item.from_record(SECOND_VERSION | odd)


@pytest.mark.parametrize("odd", [{"ended": 5}, {"attempt": "2"}, {"digest": {}}, {"item_id": 1}])
def test_archived_record_of_another_form_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(ForeignRecord):
        Item.from_record(TOMBSTONE | odd)


def test_record_tells_no_archived_record() -> None:
    assert Item.from_record(SECOND_VERSION | {"archived_record": "{"}).archived_record is None
