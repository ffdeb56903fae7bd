"""Archived items: the chain keeps a digest, and an index that may be anybody's has the record."""

from typing import Any

import pytest

from workflow_backend.items import Item, record_digest
from workflow_backend.store.archived_items import restore_archived

RECORD = {
    "item_id": "i",
    "requester": "a" * 64,
    "kind": "job",
    "payload_uri": "uri:1",
    "client": "shop",
    "status": "completed",
    "created_at": "2026-01-01 00:00:00",
    "updated_at": "2026-01-01 00:00:05",
    "attempt": 1,
    "revision": 3,
    "after": ["a", "b"],
}
ARCHIVED = Item.from_record(
    {
        "item_id": "i",
        "status": "archived",
        "ended": "completed",
        "attempt": 1,
        "digest": record_digest(RECORD),
    }
)


class Index:
    """The newest records that an index has of the item."""

    def __init__(self, *records: dict[str, Any]) -> None:
        self._records = records

    async def newest_records(self, item_id: str) -> list[dict[str, Any]]:
        assert item_id == "i"
        return list(self._records)


async def restored(*records: dict[str, Any]) -> Item:
    return await restore_archived(Index(*records), ARCHIVED, None)  # type: ignore[arg-type]


async def test_archived_item_gets_the_record_of_its_digest() -> None:
    item = await restored({"status": "archived"}, RECORD | {"client": "spy"}, RECORD)
    assert (item.client, item.status, item.after) == ("shop", "archived", ("a", "b"))
    assert item.archived_record is not None


@pytest.mark.parametrize(
    "odd", [{"revision": "3"}, {"attempt": "1"}, {"after": ["a b"], "revision": "3"}]
)
async def test_record_of_the_same_digest_and_another_form_is_none(odd: dict[str, Any]) -> None:
    assert record_digest(RECORD | odd) == ARCHIVED.digest
    assert await restored(RECORD | odd) == ARCHIVED
    assert (await restored(RECORD | odd, RECORD)).client == "shop"


@pytest.mark.parametrize(
    "odd",
    [
        {"after": [1]},
        {"after": None},
        {"kind": {}},
        {"created_at": "soon"},
        {"not_before": 10**30},
        {"status": "odd"},
    ],
)
async def test_record_that_is_none_stands_for_no_item(odd: dict[str, Any]) -> None:
    assert await restored(RECORD | odd, {}) == ARCHIVED
