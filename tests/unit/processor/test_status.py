"""The heartbeat of a worker that serves several contracts."""

from typing import Any

from workflow_backend.processor.job_runner import STATUS_ITEMS
from workflow_backend.processor.status import combined


def status(**fields: Any) -> dict[str, Any]:
    empty = {"held": 0, "items": [], "unhandled": {}, "paused": [], "held_back": {}, "problem": ""}
    return empty | fields


def test_status_of_one_contract_stays_as_it_is() -> None:
    only = status(held=2, unhandled={"mail": 1})
    assert combined([only]) is only


def test_statuses_of_contracts_are_added_up() -> None:
    new = status(held=2, items=[{"item_id": "a"}], unhandled={"mail": 1}, paused=["pdf"])
    old = status(
        held=1, items=[{"item_id": "b"}], unhandled={"mail": 2, "pdf": 1}, problem="no rights"
    )
    assert combined([new, old]) == {
        "held": 3,
        "items": [{"item_id": "a"}, {"item_id": "b"}],
        "unhandled": {"mail": 3, "pdf": 1},
        "paused": ["pdf"],
        "held_back": {},
        "problem": "no rights",
    }


def test_status_lists_as_many_items_as_that_of_one_contract() -> None:
    many = status(items=[{"item_id": str(number)} for number in range(STATUS_ITEMS)])
    assert len(combined([many, many])["items"]) == STATUS_ITEMS
