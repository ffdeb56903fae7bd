"""Items as the contract keeps them."""

from typing import Any

import pytest

from workflow_backend.errors import ForeignRecord
from workflow_backend.items import Item

RECORD = dict.fromkeys(Item.__slots__, "") | {"attempt": 2, "client": "shop"}


def test_a_record_is_an_item() -> None:
    assert Item.from_record(RECORD | {"more": 1}).as_dict() == RECORD


def test_a_contract_without_clients_is_served() -> None:
    record = {name: value for name, value in RECORD.items() if name != "client"}
    assert Item.from_record(record).client == ""


@pytest.mark.parametrize("record", [{}, {"status": "submitted"}, "text", 5, ["status"]])
def test_records_of_another_contract_are_named(record: Any) -> None:
    with pytest.raises(ForeignRecord, match="not those of con_job_workflow"):
        Item.from_record(record)
