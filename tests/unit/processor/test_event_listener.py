"""What the processor learns from events: which items are open, and which may be claimed unread."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.chain.events import Cursor
from workflow_backend.items import Event, EventPosition
from workflow_backend.processor.event_listener import EventListener
from workflow_backend.processor.journal import Journal
from workflow_backend.processor.lease_takeover import LeaseTakeover
from workflow_backend.processor.rendezvous_hash import RendezvousHash
from workflow_backend.processor.schema import FailedTry, PendingItem

ME, OTHER = "a" * 64, "b" * 64


class Listening:
    """A listener that gets events, in order."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        nothing: Any = None
        self.stopped: list[str] = []
        self.listener = EventListener(
            nothing,
            journal,
            RendezvousHash(ME),
            LeaseTakeover(),
            asyncio.Event(),
            history=nothing,
            me=ME,
            lease_seconds=60,
            stop=self.stopped.append,
        )

    def apply(self, *named: tuple[str, str], worker: str = OTHER) -> tuple[list[str], list[str]]:
        """Apply events by name and item; return which items they open, and which they settle."""
        events = [
            Event(
                EventPosition(1, 0, number),
                name,
                {"item_id": item_id, "kind": "mail", "worker": worker},
                "AB",
                "2026-01-01 00:00:00",
                number,
            )
            for number, (name, item_id) in enumerate(named)
        ]
        opened, settled = self.listener._changes(events)
        self.journal.apply_page(Cursor(), opened, settled)
        return [item.item_id for item in opened], settled

    def claim(self, seconds: float = 1.0) -> dict[str, bool]:
        """Claim what is due in so many seconds; returns of each item whether it is fresh."""
        due = self.journal.claim_due(time.monotonic() + seconds, {"mail": 9}, 9)
        return {item.item_id: item.is_fresh for item in due}


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    journal = Journal(tmp_path / "processor.sqlite3", "chain-1", "con_job_workflow")
    yield Listening(journal)
    journal.close()


def test_item_that_was_just_submitted_may_be_claimed_unread(listening: Listening) -> None:
    assert listening.apply(("ItemSubmitted", "a"), ("ItemSubmitted", "b")) == (["a", "b"], [])
    assert listening.claim() == {"a": True, "b": True}


@pytest.mark.parametrize("worker", [ME, OTHER])
def test_item_that_was_claimed_since_is_read_first(listening: Listening, worker: str) -> None:
    listening.apply(("ItemSubmitted", "a"), ("ItemClaimed", "a"), worker=worker)
    assert listening.claim(60) == {"a": False}


@pytest.mark.parametrize("name", ["ItemCancelled", "ItemCompleted", "ItemFailed"])
def test_item_that_was_settled_since_is_removed(listening: Listening, name: str) -> None:
    listening.apply(("ItemSubmitted", "a"))
    assert listening.apply((name, "a")) == ([], ["a"])
    assert listening.claim() == {}
    listening.apply(("ItemSubmitted", "a"))  # its requester retries it
    assert listening.claim() == {"a": True}


def test_stop_is_passed_on_and_leaves_the_item_open(listening: Listening) -> None:
    listening.apply(("ItemSubmitted", "a"))
    assert listening.apply(("ItemStopRequested", "a")) == ([], [])
    assert listening.stopped == ["a"]
    assert listening.claim() == {"a": True}


def test_item_that_another_worker_claims_is_due_when_its_renewal_is_overdue(
    listening: Listening,
) -> None:
    listening.apply(("ItemSubmitted", "a"))
    listening.apply(("ItemClaimed", "a"))
    assert listening.claim(30) == {}
    assert listening.claim(40) == {"a": False}


def test_item_that_failed_and_is_retried_within_a_page_begins_anew(listening: Listening) -> None:
    listening.apply(("ItemSubmitted", "a"))
    listening.journal.record_tries([FailedTry("a", 2, 1000.0)])
    listening.apply(("ItemClaimed", "a"), ("ItemFailed", "a"), ("ItemSubmitted", "a"))
    assert listening.journal.failed_tries("a") == (0, 0.0)
    assert listening.claim() == {"a": True}


def test_item_that_is_released_within_a_page_keeps_its_tries(listening: Listening) -> None:
    listening.apply(("ItemSubmitted", "a"))
    listening.journal.record_tries([FailedTry("a", 2, 1000.0)])
    listening.apply(("ItemClaimed", "a"), ("ItemSubmitted", "a"))
    number, wait = listening.journal.failed_tries("a")
    assert number == 2
    assert wait == pytest.approx(1000, abs=5)
    assert listening.claim() == {}


@pytest.mark.parametrize(
    ("events", "left"),
    [
        (("ItemFailed", "ItemSubmitted"), 0),
        (("ItemFailed", "ItemSubmitted", "ItemClaimed"), 0),
        ((), 2),
    ],
)
def test_item_that_others_failed_while_it_was_in_hand_begins_anew(
    listening: Listening, events: tuple[str, ...], left: int
) -> None:
    listening.apply(("ItemSubmitted", "a"))
    listening.claim()
    listening.journal.record_tries([FailedTry("a", 2, 0.0)])
    listening.apply(("ItemClaimed", "a"), *((name, "a") for name in events))
    listening.journal.schedule([PendingItem("a", "mail", 0.0)])
    assert listening.journal.failed_tries("a")[0] == left
    assert listening.claim() == {"a": False}


def test_item_that_another_worker_holds_when_it_is_let_go_of_stays_open(
    listening: Listening,
) -> None:
    listening.apply(("ItemSubmitted", "a"))
    listening.claim()
    listening.apply(("ItemFailed", "a"), ("ItemSubmitted", "a"), ("ItemClaimed", "a"))
    listening.journal.settle(["a"])  # by the report of its failure
    assert listening.claim() == {"a": False}
