"""The accounts' check: who may claim, and whose wallet runs low."""

import pytest

from workflow_backend.operations.health.checks import accounts
from workflow_backend.operations.health.result import State

ACCOUNT = "ab" * 32


@pytest.mark.parametrize(
    ("balance", "state"),
    [(1000.0, State.OK), (250.0, State.OK), (249.0, State.WARNING), (0.0, State.FAILED)],
)
def test_wallet_is_low_before_it_is_empty(balance: float, state: State) -> None:
    assert accounts.wallet(ACCOUNT, balance, 1000.0).state == state


def test_worker_must_be_registered_and_a_former_one_must_not() -> None:
    assert accounts.worker(ACCOUNT, registered=True).state == State.OK
    assert accounts.worker(ACCOUNT, registered=False).state == State.FAILED
    assert accounts.former_worker(ACCOUNT, registered=True).state == State.FAILED
    assert accounts.former_worker(ACCOUNT, registered=False).state == State.OK
