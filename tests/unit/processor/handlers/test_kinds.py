"""What follows a failed try by the kind's retry policy."""

from dataclasses import replace

import pytest

from workflow_backend.processor.handlers.kinds import RetryPolicy

POLICY = RetryPolicy(tries=4, first_seconds=2.0, longest_seconds=5.0)


@pytest.mark.parametrize(("jitter", "waits"), [(0.0, [2.0, 4.0, 5.0]), (1.0, [1.0, 2.0, 2.5])])
def test_waits_double_up_to_the_longest_and_jitter_halves_them_at_most(
    jitter: float, waits: list[float]
) -> None:
    assert [POLICY.wait_after(n, None, jitter) for n in (1, 2, 3)] == waits


def test_wait_is_at_least_what_the_handler_asked_for() -> None:
    assert POLICY.wait_after(1, 30.0, 0.0) == 30.0
    assert POLICY.wait_after(3, 1.0, 0.0) == 5.0


def test_last_try_is_followed_by_none() -> None:
    assert POLICY.wait_after(4, None) is None
    assert replace(POLICY, tries=1).wait_after(1, 9.0) is None


def test_wait_after_a_thousand_tries_does_not_overflow() -> None:
    wait = replace(POLICY, tries=1001).wait_after(1000, None)
    assert wait is not None
    assert wait <= POLICY.longest_seconds
