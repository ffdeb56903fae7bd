"""The processor's journal: what it holds survives, in the order in which items wait."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from workflow_backend.chain.events import Cursor
from workflow_backend.errors import SettingError
from workflow_backend.items import Place
from workflow_backend.processor.journal import Journal, Open, Result, Tried
from workflow_backend.processor.taken import Taken


def opened(path: Path) -> Journal:
    return Journal(path / "p.sqlite3", "chain-1", "con_job_workflow")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = opened(tmp_path)
    yield journal
    journal.close()


def test_a_page_and_its_cursor_survive_a_restart(journal: Journal, tmp_path: Path) -> None:
    cursor = Cursor(Place(5, 0, 1), {"ItemSubmitted": (9, Place(5, 0, 1))})
    journal.read(cursor, [Open("a", "job", 2.0), Open("b", "job", 1.0)], [])
    journal.close()
    again = opened(tmp_path)
    assert again.cursor() == cursor
    assert again.due(10.0, {"job": 5}, 5) == ["b", "a"]
    again.close()


def test_items_are_taken_once_up_to_the_limit_of_their_kind(journal: Journal) -> None:
    journal.put([Open(f"j{n}", "job", n) for n in range(5)])
    journal.put([Open("h", "http", 2.5), Open("x", "other", 0.0), Open("late", "job", 99.0)])
    assert journal.due(10.0, {"job": 2, "http": 5}, 128) == ["j0", "j1", "h"]
    assert journal.due(10.0, {"job": 9, "http": 5}, 2) == ["j2", "j3"]
    assert journal.due(10.0, {"job": 9, "http": 5}, 128) == ["j4"]
    assert journal.next_due(["job", "http"]) == 99.0
    journal.put([Open("j0", "", 5.0)])
    assert journal.next_due(["job"]) == 5.0
    assert journal.waiting(10.0, {""}) == {"job": 1, "other": 1}
    assert journal.waiting(4.0, {"", "other"}) == {}


def test_of_many_that_wait_those_of_the_lowest_rank_are_taken_first(journal: Journal) -> None:
    journal.put([Open(f"j{n}", "job", n) for n in range(20)])
    odd_last = lambda item_id, _: float(int(item_id[1:]) % 2)  # noqa: E731
    assert journal.due(99.0, {"job": 3}, 128, odd_last) == ["j0", "j2", "j4"]
    assert journal.due(99.0, {"job": 3}, 128, odd_last) == ["j6", "j8", "j10"]
    # None is passed over for ever: only so many are looked at.
    assert journal.due(99.0, {"job": 1}, 128, lambda item_id, _: -float(item_id[1:])) == ["j7"]


def test_after_a_restart_what_was_taken_comes_first(journal: Journal) -> None:
    journal.put([Open("waits", "job", 50.0), Open("taken", "job", 1.0)])
    assert journal.due(10.0, {"job": 1}, 1) == ["taken"]
    assert journal.recover() == ["taken"]
    assert journal.due(10.0, {"job": 9}, 9) == ["waits"]


def test_a_settled_item_leaves_nothing(journal: Journal) -> None:
    journal.put([Open("a", "job", 1.0)])
    journal.results([("a", 1, Result(completed=True, text="r"))])
    journal.tried([Tried("a", 2, 5.0)])
    journal.put([], ["a"])
    assert journal.due(10.0, {"job": 5}, 5) == []
    assert journal.unreported("a", 1) is None
    assert journal.tries("a") == (0, 0.0)


def test_results_belong_to_an_attempt(journal: Journal) -> None:
    journal.results([("a", 1, Result(completed=False, text="why"))])
    assert journal.unreported("a", 1) == Result(completed=False, text="why")
    assert journal.unreported("a", 2) is None


def test_a_look_that_would_come_too_late_comes_now(journal: Journal) -> None:
    journal.put([Open("soon", "job", 20.0), Open("held", "job", 1.0), Open("never", "job", 9e9)])
    journal.due(10.0, {"job": 1}, 1)
    assert journal.wake(100.0, {"held"}) == 1
    assert journal.due(10.0, {"job": 5}, 5) == ["never"]


def test_an_item_that_is_submitted_anew_while_it_is_settled_stays_open(journal: Journal) -> None:
    journal.put([Open("a", "job", 1.0), Open("b", "job", 1.0)])
    taken = Taken(journal)
    taken.take(journal.due(10.0, {"job": 2}, 2))
    taken.touch("a")
    taken.put_down([], ["a", "b"])
    assert not taken
    assert journal.due(1e11, {"job": 2}, 2) == ["a"]


def test_the_sweep_goes_on_where_it_was(journal: Journal, tmp_path: Path) -> None:
    journal.sweep("m", [Open("lost", "job", 1.0)])
    journal.close()
    again = opened(tmp_path)
    assert again.swept() == "m"
    assert again.kinds_of(["lost", "m"]) == {"lost": "job"}
    again.close()


def test_the_journal_of_another_chain_is_refused_with_both_names(
    journal: Journal, tmp_path: Path
) -> None:
    journal.close()
    with pytest.raises(SettingError, match=r"chain-1.*chain-2"):
        Journal(tmp_path / "p.sqlite3", "chain-2", "con_job_workflow")


@pytest.mark.usefixtures("journal")
def test_a_second_processor_with_the_same_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="another processor"):
        opened(tmp_path)


def test_the_journal_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "p.sqlite3") as old:
        old.executescript(
            """
            CREATE TABLE reader (id INTEGER PRIMARY KEY CHECK (id = 1), chain_id TEXT NOT NULL,
                contract TEXT NOT NULL, cursor TEXT NOT NULL);
            CREATE TABLE open_items (item_id TEXT PRIMARY KEY, due REAL NOT NULL);
            CREATE INDEX open_items_due ON open_items (due);
            CREATE TABLE results (item_id TEXT NOT NULL, attempt INTEGER NOT NULL,
                completed INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (item_id, attempt));
            INSERT INTO reader VALUES (1, 'chain-1', 'con_job_workflow',
                '{"place": [7, 0, 0], "seen": {}}');
            INSERT INTO open_items VALUES ('held', 1e12);
            INSERT INTO results VALUES ('held', 1, 1, 'r');
            """
        )
    old.close()
    journal = opened(tmp_path)
    assert journal.cursor().place == Place(7, 0, 0)
    assert journal.recover() == ["held"]
    assert journal.unreported("held", 1) == Result(completed=True, text="r")
    journal.close()


def test_journal_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "p.sqlite3")) as newer:
        newer.execute("PRAGMA user_version = 1000")
    with pytest.raises(SettingError, match=r"newer release.* 1000") as refused:
        opened(tmp_path)
    assert "XIAN_WORKFLOW_STATE_DIR" in refused.value.hint


def test_failing_write_leaves_no_item_taken_for_ever(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = Taken(journal)
    journal.put([Open(item_id, "job", 0.0) for item_id in ("a", "b", "c")])
    taken.take(journal.due(1.0, {"job": 3}, 3))
    put = journal.put

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(journal, "put", full)
    taken.put_down([Open("a", "job", 5.0)], ["b"])
    assert sorted(taken) == ["a", "b", "c"]  # the journal says so, too
    monkeypatch.setattr(journal, "put", put)
    taken.put_down([Open("c", "job", 6.0)])
    assert list(taken) == []
    assert journal.due(10.0, {"job": 9}, 9) == ["a", "c"]
    # And where nothing else is put down, the next turn of the processor saves it.
    taken.take(["a", "c"])
    monkeypatch.setattr(journal, "put", full)
    taken.put_down([Open("a", "job", 7.0)])
    monkeypatch.setattr(journal, "put", put)
    taken.save()
    assert list(taken) == ["c"]


def test_write_ahead_log_shrinks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflow_backend.processor.journal.WAL_BYTES", 100_000)
    journal = opened(tmp_path)
    journal.put([Open(f"i{number}", "job", 0.0) for number in range(100_000)])
    log = tmp_path / "p.sqlite3-wal"
    assert log.stat().st_size > 4_096_000  # SQLite takes a longer one back by itself
    for number in range(3):
        journal.put([Open(f"i{number}", "job", 1.0)])
    assert log.stat().st_size <= 100_000
    journal.close()
