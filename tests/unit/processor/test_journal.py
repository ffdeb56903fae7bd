"""The journal: the states of items survive, in the order in which the items are due."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.chain.events import Cursor
from workflow_backend.items import EventPosition
from workflow_backend.processor import journal_statements as statements
from workflow_backend.processor.journal import Journal
from workflow_backend.processor.schema import FailedTry, Hold, PendingItem, Result, State


def opened(path: Path) -> Journal:
    return Journal(path / "p.sqlite3", "chain-1", "con_job_workflow")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = opened(tmp_path)
    yield journal
    journal.close()


def pending(item_id: str, due: float = 0.0, kind: str = "job", **flags: Any) -> PendingItem:
    return PendingItem(item_id, kind, due, **flags)


def claim(journal: Journal, limit: int = 9, now: float = 10.0, **more: Any) -> list[str]:
    return [item.item_id for item in journal.claim_due(now, {"job": limit}, 128, **more)]


def test_page_and_its_cursor_survive_a_restart(journal: Journal, tmp_path: Path) -> None:
    cursor = Cursor(EventPosition(5, 0, 1), {"ItemSubmitted": (9, EventPosition(5, 0, 1))})
    journal.apply_page(cursor, [pending("a", 2.0), pending("b", 1.0)], [])
    journal.close()
    again = opened(tmp_path)
    assert again.cursor() == cursor
    assert claim(again) == ["b", "a"]
    again.close()


def test_items_are_claimed_once_up_to_the_limit_of_their_kind(journal: Journal) -> None:
    journal.schedule([pending(f"j{n}", n) for n in range(5)])
    journal.schedule([pending("h", 2.5, "http"), pending("x", 0.0, "other"), pending("late", 99.0)])

    def ids(limits: dict[str, int], most: int) -> list[str]:
        return [item.item_id for item in journal.claim_due(10.0, limits, most)]

    assert ids({"job": 2, "http": 5}, 128) == ["j0", "j1", "h"]
    assert journal.busy() == {"job": 2, "http": 1}
    assert ids({"job": 9, "http": 5}, 2) == ["j2", "j3"]
    assert ids({"job": 9, "http": 5}, 128) == ["j4"]
    assert journal.next_due(["job", "http"]) == 99.0
    journal.schedule([PendingItem("j0", "", 5.0)])
    assert journal.next_due(["job"]) == 5.0
    assert journal.count_due(10.0, {""}) == {"job": 1, "other": 1}
    assert journal.count_due(4.0, {"", "other"}) == {}


def test_items_of_the_lowest_rank_are_claimed_first_among_those_due_longest(
    journal: Journal,
) -> None:
    journal.schedule([pending(f"j{n}", n) for n in range(20)])
    odd_last = lambda item_id, _: float(int(item_id[1:]) % 2)  # noqa: E731
    assert claim(journal, 3, 99.0, rank=odd_last) == ["j0", "j2", "j4"]
    assert claim(journal, 3, 99.0, rank=odd_last) == ["j6", "j8", "j10"]
    # None is passed over for ever: only OVERSAMPLING times the limit are ranked.
    assert claim(journal, 1, 99.0, rank=lambda item_id, _: -float(item_id[1:])) == ["j7"]


def test_item_is_fresh_until_it_is_claimed_or_something_else_is_heard_of_it(
    journal: Journal,
) -> None:
    journal.apply_page(Cursor(), [pending("a", is_fresh=True), pending("b", is_fresh=True)], [])
    journal.apply_page(Cursor(), [pending("b")], [])
    assert [(i.item_id, i.is_fresh) for i in journal.claim_due(1.0, {"job": 9}, 9)] == [
        ("a", True),
        ("b", False),
    ]
    journal.schedule([pending("a")])
    assert not journal.claim_due(1.0, {"job": 9}, 9)[0].is_fresh


def test_kind_counts_as_busy_while_its_items_are_claimed_or_run(journal: Journal) -> None:
    journal.schedule([pending("a"), pending("b"), PendingItem("c", "", 0.0)])
    journal.claim_due(1.0, {"job": 2, "": 1}, 9)
    journal.set_kinds([("c", "job")])
    assert journal.busy() == {"job": 3}
    journal.mark_claimed([("a", "job"), ("b", "job"), ("c", "job")])
    assert journal.busy() == {"job": 3}
    journal.record_tries([FailedTry("a", 1, 5.0)])
    journal.record_results([("b", 1, Result(completed=True, text="r"))])
    assert journal.busy() == {"job": 1}
    assert journal.in_state(State.WAITING) == {"a"}
    assert journal.in_state(State.REPORTING) == {"b"}


@pytest.mark.parametrize("state", [s for s in State if s is not State.PENDING])
def test_item_in_hand_is_recovered_first_after_a_restart(journal: Journal, state: State) -> None:
    journal.schedule([pending("later", 50.0), pending("held")])
    assert claim(journal) == ["held"]
    journal.set_states([("held", state)])
    assert [item.item_id for item in journal.recover()] == ["held"]
    assert journal.in_state(State.CLAIMING) == {"held"}
    assert claim(journal) == ["later"]


def test_settled_item_leaves_nothing(journal: Journal) -> None:
    journal.schedule([pending("a")])
    journal.record_results([("a", 1, Result(completed=True, text="r"))])
    journal.record_tries([FailedTry("a", 2, 5.0)])
    journal.settle(["a"])
    assert claim(journal) == []
    assert journal.recorded_result("a", 1) is None
    assert journal.failed_tries("a") == (0, 0.0)
    assert journal.kinds_of(["a"]) == {}


def test_result_belongs_to_an_attempt(journal: Journal) -> None:
    journal.record_results([("a", 1, Result(completed=False, text="why"))])
    assert journal.recorded_result("a", 1) == Result(completed=False, text="why")
    assert journal.recorded_result("a", 2) is None


def test_item_that_would_be_due_too_late_is_made_due(journal: Journal) -> None:
    journal.schedule([pending("soon", 20.0), pending("held", 1.0), pending("never", 9e9)])
    assert claim(journal, 1) == ["held"]
    assert journal.hasten(100.0) == 1
    assert claim(journal) == ["never"]


def test_item_that_is_retried_while_its_failure_is_reported_begins_anew(journal: Journal) -> None:
    journal.schedule([pending("a"), pending("b")])
    claim(journal)
    journal.record_tries([FailedTry("a", 2, 0.0)])
    journal.record_results([("a", 1, Result(completed=False, text="why"))])
    journal.apply_page(Cursor(), [], ["a", "b"])
    journal.apply_page(Cursor(), [pending("a", 3.0, is_fresh=True)], [])
    journal.settle(["a", "b"])
    assert claim(journal, now=1e11) == ["a"]
    assert journal.failed_tries("a") == (0, 0.0)
    assert journal.recorded_result("a", 1) is None


def test_item_in_hand_stays_in_hand_whatever_events_tell(journal: Journal) -> None:
    journal.schedule([pending("a")])
    claim(journal)
    journal.apply_page(Cursor(), [], ["a"])
    journal.apply_page(Cursor(), [pending("a", is_fresh=True)], [])
    assert claim(journal) == []
    assert journal.in_state(State.CLAIMING) == {"a"}


def test_reconciliation_goes_on_where_it_was(journal: Journal, tmp_path: Path) -> None:
    journal.record_reconciled("m", [pending("lost", 1.0)])
    journal.close()
    again = opened(tmp_path)
    assert again.reconciled_to() == "m"
    assert again.kinds_of(["lost", "m"]) == {"lost": "job"}
    again.close()


class FullDisk:
    """A database that refuses to write while it is full."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        self.is_full = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.database, name)

    def __enter__(self) -> Any:
        if self.is_full:
            raise sqlite3.OperationalError("database or disk is full")
        return self.database.__enter__()

    def __exit__(self, *error: Any) -> Any:
        return self.database.__exit__(*error)


def test_failing_write_keeps_items_in_hand_until_it_is_repeated(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.schedule([pending(item_id) for item_id in ("a", "b", "c")])
    claim(journal)
    disk = FullDisk(journal._database)
    monkeypatch.setattr(journal, "_database", disk)
    journal.schedule([pending("a", 5.0)])
    journal.settle(["b"])
    assert journal.in_state(State.CLAIMING) == {"a", "b", "c"}
    disk.is_full = False
    journal.schedule([pending("c", 6.0)])
    assert claim(journal) == ["a", "c"]
    disk.is_full = True
    journal.schedule([pending("a", 7.0)])
    disk.is_full = False
    journal.flush()
    assert journal.in_state(State.CLAIMING) == {"c"}


def test_items_are_claimed_by_priority_before_age(journal: Journal) -> None:
    journal.schedule([pending("old", 1.0), pending("low", 0.0, priority=9)])
    journal.schedule([pending("first", 5.0, priority=0), pending("new", 2.0, priority=5)])
    assert claim(journal, limit=3) == ["first", "old", "new"]
    assert claim(journal) == ["low"]


def test_rank_decides_among_items_of_one_priority_only(journal: Journal) -> None:
    journal.schedule([pending(name, priority=priority) for name, priority in [("a", 5), ("b", 0)]])
    journal.schedule([pending("c", priority=0)])
    rank = {"a": 0.0, "b": 2.0, "c": 1.0}
    assert claim(journal, limit=1, rank=lambda item_id, _: rank[item_id]) == ["c"]


def test_item_keeps_its_priority_where_nobody_names_one(journal: Journal) -> None:
    journal.schedule([pending("a", priority=2), pending("b", priority=3)])
    journal.schedule([pending("b"), pending("a")])
    assert claim(journal) == ["a", "b"]


def waiting(journal: Journal, item_id: str, *awaited: str, due: float = 99.0) -> None:
    journal.add_prerequisites([(item_id, each) for each in awaited])
    journal.hold_back(pending(item_id, due, hold=Hold.WAITING), awaited)


def complete(journal: Journal, *ids: str) -> None:
    journal.apply_page(Cursor(), [], ids, ids)


def take_held(journal: Journal) -> list[str]:
    """Take what is due within some seconds of now."""
    return [item.item_id for item in journal.take_held_back(time.monotonic() + 5, 128)]


def test_item_that_waits_is_checked_once_another_is_settled(journal: Journal) -> None:
    waiting(journal, "a", "b", "c", due=1e9)
    assert (claim(journal), take_held(journal)) == ([], [])
    assert journal.count_held_back() == {"waiting": 1}
    journal.apply_page(Cursor(), [], ["b"])  # it has failed
    assert take_held(journal) == ["a"]
    journal.hold_back(pending("a", 1e9, hold=Hold.BLOCKED), ["b", "c"])
    assert (take_held(journal), journal.count_held_back()) == ([], {"blocked": 1})
    complete(journal, "b")
    assert take_held(journal) == ["a"]
    assert journal.completed_prerequisites("a") == {"b"}
    journal.hold_back(pending("a", 1e9, hold=Hold.WAITING), ["c"])
    complete(journal, "c")
    assert take_held(journal) == ["a"]
    assert journal.completed_prerequisites("a") == {"b", "c"}


def test_completion_between_the_read_and_the_hold_is_not_missed(journal: Journal) -> None:
    journal.schedule([pending("a")])
    assert claim(journal) == ["a"]
    journal.add_prerequisites([("a", "b")])
    complete(journal, "b")  # its record was read as not completed before
    journal.hold_back(pending("a", 1e9, hold=Hold.WAITING), ["b"])
    assert take_held(journal) == ["a"]


def test_completion_is_known_though_the_state_does_not_have_it_yet(journal: Journal) -> None:
    waiting(journal, "a", "b", due=1e9)
    complete(journal, "b")
    assert take_held(journal) == ["a"]
    journal.add_prerequisites([("a", "b")])
    assert journal.completed_prerequisites("a") == {"b"}


def test_item_held_back_by_a_rule_is_not_hastened(journal: Journal) -> None:
    waiting(journal, "a", "b", due=1e9)
    journal.schedule([pending("late", 1e9)])
    assert journal.hasten(10.0) == 1
    assert claim(journal) == ["late"]


def test_items_held_back_take_no_place_of_others_after_a_restart(
    journal: Journal, tmp_path: Path
) -> None:
    for number in range(50):
        waiting(journal, f"w{number}", "b", due=1e12 - 1)
    journal.schedule([pending("free", 1.0)])
    journal.close()
    again = opened(tmp_path)
    again.recover()
    assert claim(again, limit=1, now=time.monotonic()) == ["free"]
    assert len(again.take_held_back(time.monotonic(), 128)) == 50
    again.close()


def test_stop_of_another_workers_item_is_checked_whatever_the_kind(
    journal: Journal,
) -> None:
    journal.schedule([pending("a", 1e9, "paused"), pending("mine", 0.0)])
    assert claim(journal) == ["mine"]
    due = time.monotonic() + 1
    journal.apply_page(Cursor(), [], [], (), [("a", due), ("mine", due), ("unknown", due)])
    assert take_held(journal) == ["a"]


def test_what_an_event_wakes_is_found_without_walking_the_backlog(journal: Journal) -> None:
    for statement in (statements.WAKE, statements.WAKE.replace("?2", "0").replace("?1", "'x'")):
        values = ("x", 0.0) if "?1" in statement else ()
        plan = journal._database.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        steps = [str(row[3]) for row in plan]
        assert any("item_id=?" in line for line in steps), steps
        assert not any("SCAN open_items" in line or "state=?" in line for line in steps), steps


def test_settled_item_waits_for_nothing(journal: Journal) -> None:
    waiting(journal, "a", "b")
    journal.settle(["a"])
    assert journal.count_held_back() == {}
    complete(journal, "b")
    assert take_held(journal) == []
