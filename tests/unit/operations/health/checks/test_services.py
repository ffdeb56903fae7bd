"""The services' check: a heartbeat that moves, and everything that a service reports."""

from typing import Any

import pytest

from workflow_backend.operations.health.checks import services
from workflow_backend.operations.health.result import State


def beat(at: float, **more: Any) -> dict[str, Any]:
    return {"service": "projector", "pid": 42, "at": at, "problem": "", **more}


@pytest.mark.parametrize(
    ("before", "after", "process", "word"),
    [
        (None, None, None, "it has no heartbeat"),
        (beat(90.0), None, None, "it has no heartbeat"),  # it ended in order meanwhile
        (beat(90.0), beat(90.0), None, "process 42 is gone"),
        (beat(90.0), beat(90.0), "T", "stopped by a signal, its last heartbeat is 10 s old"),
        (beat(90.0), beat(90.0), "S", "process 42 hangs"),
        (beat(90.0), beat(99.0, problem="no node"), "S", "no node"),
    ],
)
def test_service_that_does_not_live_fails(
    before: dict[str, Any] | None, after: dict[str, Any] | None, process: str | None, word: str
) -> None:
    check = services.evaluate("projector", before, after, process, 100.0)
    assert check.state == State.FAILED
    assert word in check.what
    assert check.hint


@pytest.mark.parametrize("before", [None, beat(99.0), beat(99.0, problem="over now")])
def test_service_that_beats_is_ok(before: dict[str, Any] | None) -> None:
    assert services.evaluate("projector", before, beat(100.0), "S", 100.0).state == State.OK


def test_service_with_items_of_an_unhandled_kind_names_it() -> None:
    waiting = beat(100.0, unhandled={"mail": 3})
    check = services.evaluate("processor", beat(90.0), waiting, "S", 100.0)
    assert check.state == State.WARNING
    assert "mail (3)" in check.what


def test_service_whose_wallet_runs_low_is_a_warning() -> None:
    low = beat(10.0, warning="wallet aa runs low")
    check = services.evaluate("processor", beat(9.0), low, "S", 10.0)
    assert (check.state, check.what) == (State.WARNING, "wallet aa runs low")


def test_service_with_several_problems_names_them_all() -> None:
    low = "wallet aa runs low"
    both = beat(100.0, warning=low, unhandled={"mail": 3})
    check = services.evaluate("processor", beat(90.0), both, "S", 100.0)
    assert check.state == State.WARNING
    assert low in check.what
    assert "mail (3)" in check.what
    assert "bootstrap" in check.hint
    assert "handlers' file" in check.hint
    check = services.evaluate("processor", beat(90.0), both | {"problem": "no node"}, "S", 100.0)
    assert check.state == State.FAILED
    assert all(word in check.what for word in ("no node", low, "mail (3)"))
