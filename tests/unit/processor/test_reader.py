"""What the processor learns from events: what is open, and what may be claimed unread."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.chain.events import Cursor
from workflow_backend.items import Event, Place
from workflow_backend.processor.contest import Contest
from workflow_backend.processor.journal import Journal, Open, Tried
from workflow_backend.processor.reader import Reader
from workflow_backend.processor.spread import Spread
from workflow_backend.processor.taken import Taken

ME, OTHER = "a" * 64, "b" * 64


class Learning:
    """A reader that is told events, in order."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.taken = Taken(journal)
        nothing: Any = None
        self.reader = Reader(
            nothing, journal, self.taken, Spread(ME), Contest(), me=ME, lease_seconds=60
        )

    def hear(self, *told: tuple[str, str]) -> tuple[list[str], list[str]]:
        """Hear events by name and item; returns which items are open then, and which settled."""
        events = [
            Event(
                Place(1, 0, number),
                name,
                {"item_id": item_id, "kind": "mail", "worker": OTHER},
                "AB",
                "2026-01-01 00:00:00",
                number,
            )
            for number, (name, item_id) in enumerate(told)
        ]
        opened, settled = self.reader._plan(events)
        self.journal.read(Cursor(), opened, settled)
        return [item.item_id for item in opened], settled


@pytest.fixture
def learning(tmp_path: Path) -> Iterator[Learning]:
    journal = Journal(tmp_path / "processor.sqlite3", "chain-1", "con_job_workflow")
    yield Learning(journal)
    journal.close()


def test_what_was_just_submitted_may_be_claimed_unread_once(learning: Learning) -> None:
    assert learning.hear(("ItemSubmitted", "a"), ("ItemSubmitted", "b")) == (["a", "b"], [])
    assert learning.reader.take_fresh(["b", "c"]) == {"b": "mail"}
    assert learning.reader.take_fresh(["a", "b"]) == {"a": "mail"}
    assert learning.reader.take_fresh(["a", "b"]) == {}


@pytest.mark.parametrize("name", ["ItemClaimed", "ItemCancelled", "ItemCompleted", "ItemFailed"])
def test_not_what_something_happened_to_since(learning: Learning, name: str) -> None:
    learning.hear(("ItemSubmitted", "a"))
    opened, settled = learning.hear((name, "a"))
    assert (opened, settled) == ((["a"], []) if name == "ItemClaimed" else ([], ["a"]))
    assert learning.reader.take_fresh(["a"]) == {}
    learning.hear(("ItemSubmitted", "a"))  # retried, or given back
    assert learning.reader.take_fresh(["a"]) == {"a": "mail"}


def test_nor_what_we_have_in_our_hands(learning: Learning) -> None:
    learning.taken.take(["a"])
    assert learning.hear(("ItemSubmitted", "a")) == ([], [])
    assert learning.reader.take_fresh(["a"]) == {}


def test_item_that_failed_and_is_retried_within_a_page_begins_anew(learning: Learning) -> None:
    learning.hear(("ItemSubmitted", "a"))
    learning.journal.tried([Tried("a", 2, 1000.0)])
    learning.hear(("ItemClaimed", "a"), ("ItemFailed", "a"), ("ItemSubmitted", "a"))
    assert learning.journal.tries("a") == (0, 0.0)
    assert learning.journal.due(time.monotonic() + 1, {"mail": 1}, 1) == ["a"]


def test_item_that_is_given_back_within_a_page_keeps_its_tries(learning: Learning) -> None:
    learning.hear(("ItemSubmitted", "a"))
    learning.journal.tried([Tried("a", 2, 1000.0)])
    learning.hear(("ItemClaimed", "a"), ("ItemSubmitted", "a"))
    number, wait = learning.journal.tries("a")
    assert number == 2
    assert wait == pytest.approx(1000, abs=5)
    assert learning.journal.due(time.monotonic() + 1, {"mail": 1}, 1) == []


@pytest.mark.parametrize(("told", "left"), [(("ItemFailed", "ItemSubmitted"), 0), ((), 2)])
def test_item_that_others_failed_while_it_was_in_our_hands_begins_anew(
    learning: Learning, told: tuple[str, ...], left: int
) -> None:
    learning.hear(("ItemSubmitted", "a"))
    learning.taken.take(learning.journal.due(time.monotonic() + 1, {"mail": 1}, 1))
    learning.journal.tried([Tried("a", 2, 0.0)])
    learning.hear(("ItemClaimed", "a"), *((name, "a") for name in told))
    learning.taken.put_down([Open("a", "mail", 0.0)])
    assert learning.journal.tries("a")[0] == left
    assert learning.journal.due(time.monotonic() + 1, {"mail": 1}, 1) == ["a"]
