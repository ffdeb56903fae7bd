"""The processor's journal: what it holds survives, in the order in which items wait."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from workflow_backend.chain.events import Cursor
from workflow_backend.errors import SettingError
from workflow_backend.items import Place
from workflow_backend.processor.journal import Journal, Result


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "p.sqlite3", "chain-1", "con_job_workflow")
    yield journal
    journal.close()


def test_a_page_and_its_cursor_survive_a_restart(journal: Journal, tmp_path: Path) -> None:
    cursor = Cursor(Place(5, 0, 1), {"ItemSubmitted": (9, Place(5, 0, 1))})
    journal.read(cursor, {"a": 2.0, "b": 1.0})
    journal.close()
    again = Journal(tmp_path / "p.sqlite3", "chain-1", "con_job_workflow")
    assert again.cursor() == cursor
    assert again.due(10.0, 5, []) == ["b", "a"]
    again.close()


def test_items_come_when_they_are_due_and_not_while_they_are_held(journal: Journal) -> None:
    journal.read(Cursor(), {"a": 1.0, "b": 2.0, "c": 30.0})
    assert journal.due(10.0, 5, besides=["a"]) == ["b"]
    assert journal.due(10.0, 1, besides=[]) == ["a"]
    journal.hold("a")
    assert journal.due(10.0, 5, []) == ["b"]
    assert journal.next_due() == 2.0
    assert journal.everything_due() == 3
    assert sorted(journal.due(10.0, 5, [])) == ["a", "b", "c"]


def test_a_settled_item_leaves_nothing(journal: Journal) -> None:
    journal.read(Cursor(), {"a": 1.0})
    journal.result("a", 1, Result(completed=True, text="r"))
    journal.forget(["a"])
    assert journal.due(10.0, 5, []) == []
    assert journal.unreported("a", 1) is None


def test_a_result_belongs_to_its_attempt(journal: Journal) -> None:
    journal.result("a", 1, Result(completed=False, text="why"))
    assert journal.unreported("a", 1) == Result(completed=False, text="why")
    assert journal.unreported("a", 2) is None


def test_the_journal_of_another_chain_is_refused_with_both_names(
    journal: Journal, tmp_path: Path
) -> None:
    journal.close()
    with pytest.raises(SettingError, match=r"chain-1.*chain-2"):
        Journal(tmp_path / "p.sqlite3", "chain-2", "con_job_workflow")
