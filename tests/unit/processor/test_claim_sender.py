"""When an item is looked at again whose claim was refused."""

import asyncio
import time
from typing import Any

import pytest

from workflow_backend.chain import contract
from workflow_backend.items import Outcome
from workflow_backend.processor import claim_sender
from workflow_backend.processor.claim_sender import ClaimSender, PlannedClaim
from workflow_backend.processor.lease_takeover import LeaseTakeover

from .doubles import LEASE, item


@pytest.fixture
def sender() -> ClaimSender:
    # What answers and tasks need is not used here.
    parts: Any = (None, None, None, LeaseTakeover())
    tasks: Any = None
    return ClaimSender(*parts, tasks=tasks, wake=asyncio.Event(), lease_seconds=LEASE)


def refused(sender: ClaimSender, code: str, item_id: str = "a") -> float:
    """Refuse a claim; return after how many seconds its item is looked at again."""
    claim = PlannedClaim("job", contract.claim(item(item_id, status="submitted"), LEASE))
    now = time.monotonic()
    return sender._refused(claim, Outcome(item_id, code, "", 1, None, "AB", 1)).due - now


@pytest.mark.parametrize("code", ["early", "paused"])
def test_claim_that_the_chains_time_refuses_is_sent_with_growing_pauses(
    sender: ClaimSender, code: str
) -> None:
    pauses = [refused(sender, code) for _ in range(10)]
    assert pauses[:4] == pytest.approx([0.2, 0.4, 0.8, 1.6], abs=0.1)
    assert pauses[-1] == pytest.approx(30.0, abs=0.1)
    assert refused(sender, code, "b") == pytest.approx(0.2, abs=0.1)


def test_refusals_are_not_counted_without_end(
    sender: ClaimSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_sender, "MAX_EARLY", 3)
    for number in range(10):
        refused(sender, "early", f"i{number}")
    assert set(sender._early) == {"i7", "i8", "i9"}
