"""The API's check: what it serves, and what it reports about itself."""

from typing import Any

from workflow_backend.operations.health.checks import api
from workflow_backend.operations.health.result import State

ANSWER: dict[str, Any] = {
    "status": "ok",
    "network": "net-1",
    "workflow_contract": "con_a",
    "problems": [],
}


def test_api_of_this_stack_is_ok() -> None:
    assert api.evaluate(ANSWER, "net-1", "con_a").state == State.OK


def test_api_of_another_stack_fails() -> None:
    assert "con_a on net-1" in api.evaluate(ANSWER, "net-1", "con_b").what


def test_api_that_is_degraded_fails_with_its_problems_and_warnings() -> None:
    degraded = ANSWER | {"status": "degraded", "problems": ["no index"]}
    check = api.evaluate(degraded, "net-1", "con_a")
    assert (check.state, check.what) == (State.FAILED, "no index")
    check = api.evaluate(degraded | {"warnings": ["wallet bb runs low"]}, "net-1", "con_a")
    assert (check.state, check.what) == (State.FAILED, "no index; wallet bb runs low")


def test_api_whose_wallet_runs_low_is_a_warning() -> None:
    check = api.evaluate(ANSWER | {"warnings": ["wallet bb runs low"]}, "net-1", "con_a")
    assert (check.state, check.what) == (State.WARNING, "wallet bb runs low")
