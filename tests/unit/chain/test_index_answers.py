"""Events of an index that is a copy of somebody else's, and may hold anything."""

from typing import Any

import pytest

from workflow_backend.chain.index_answers import events_from
from workflow_backend.errors import NodeUnavailable

ROW = {
    "id": 1,
    "event": "ItemSubmitted",
    "block_height": 1,
    "tx_index": 0,
    "event_index": 0,
    "tx_hash": "AB",
    "created_at": "2026-01-01T00:00:00+00:00",
    "data_indexed": '{"item_id": "i", "kind": "job", "requester": "r"}',
    "data": None,
}


def test_event_is_read() -> None:
    (event,) = events_from([ROW])
    assert (event.item_id, event.data["kind"]) == ("i", "job")
    (event,) = events_from([ROW | {"event": "WorkerAdded", "data_indexed": '{"account": "a"}'}])
    assert event.item_id is None


@pytest.mark.parametrize(
    "odd",
    [
        {"id": None},
        {"block_height": "1"},
        {"tx_index": None},
        {"tx_hash": None},
        {"created_at": 5},
        {"created_at": "soon"},
        {"data_indexed": "{}"},
        {"data_indexed": "[1]"},
        {"data_indexed": "[" * 100_000},
        {"data_indexed": '{"item_id": 5, "kind": "job", "requester": "r"}'},
        {"data": '{"kind": []}'},
        {"data": '{"priority": 10}'},
        {"data": '{"priority": "first"}'},
        {"event": "ItemClaimed"},
    ],
)
def test_event_of_another_form_is_named(odd: dict[str, Any]) -> None:
    with pytest.raises(NodeUnavailable, match="an event of an unknown form"):
        events_from([ROW | odd])
