"""When a worker contends for an item that another one holds."""

from dataclasses import replace

import pytest

from workflow_backend.processor.lease_takeover import LeaseTakeover

from .doubles import item

HELD = replace(item(worker="other"), updated_at="1970-01-01 00:01:40", lease_seconds=10)


def test_worker_contends_when_a_renewal_is_overdue_since_the_claim_was_seen() -> None:
    takeover = LeaseTakeover()
    takeover.observe_claim("a", HELD.updated_at, 1000.0)
    assert takeover.contend_at(HELD, 1003.0) == pytest.approx(1006.0)


def test_renewal_begins_the_wait_anew() -> None:
    takeover = LeaseTakeover()
    takeover.observe_claim("a", HELD.updated_at, 1000.0)
    renewed = replace(HELD, updated_at="1970-01-01 00:01:43.5")
    assert takeover.contend_at(renewed, 1005.0) == pytest.approx(1011.0)
    assert takeover.contend_at(renewed, 1008.0) == pytest.approx(1011.0)


def test_clock_that_runs_is_asked_about_once_and_then_waited_for() -> None:
    takeover, contested = LeaseTakeover(), replace(HELD, contested_at="2999-01-01 00:00:00")
    assert takeover.contend_at(contested, 1000.0) == 1000.0
    assert takeover.refused(contested, 1000.5) == pytest.approx(1010.5)
    assert takeover.contend_at(contested, 1001.0) == pytest.approx(1010.5)
    # A block's `now` may be the time of the block before, so the next one follows at once.
    assert takeover.refused(contested, 1010.5) - 1010.5 < 0.1
    assert takeover.refused(contested, 1010.6) - 1010.6 == pytest.approx(1.0)
    assert takeover.refused(contested, 1011.6) - 1011.6 == pytest.approx(1.0)


def test_contention_that_started_the_clock_is_followed_at_once() -> None:
    takeover = LeaseTakeover()
    takeover.contend_at(HELD, 1000.0)
    assert takeover.refused(HELD, 1006.0) - 1006.0 < 0.1
    assert takeover.refused(HELD, 1006.1) - 1006.1 == pytest.approx(1.0)
    contested = replace(HELD, contested_at="1970-01-01 00:16:44.250000")
    assert takeover.contend_at(contested, 1006.2) == 1006.2
