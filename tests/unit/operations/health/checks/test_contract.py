"""The contract's check: it is there, with the source that is expected."""

from workflow_backend.operations.health.checks import contract
from workflow_backend.operations.health.result import State


def test_contract_that_is_not_deployed_fails() -> None:
    assert contract.evaluate("con_a", None, None).state == State.FAILED


def test_contract_has_the_expected_source_whatever_its_layout() -> None:
    assert contract.evaluate("con_a", "x = 1", None).state == State.OK
    assert contract.evaluate("con_a", "x = 1", "x  =  1  # one\n").state == State.OK
    assert contract.evaluate("con_a", "x = 1", "x = 2").state == State.FAILED
