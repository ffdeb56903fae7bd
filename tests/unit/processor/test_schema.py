"""The journal's file: who may open it, and what becomes of one of another release."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from workflow_backend.errors import SettingError
from workflow_backend.items import EventPosition
from workflow_backend.processor.journal import Journal
from workflow_backend.processor.schema import MIGRATIONS, PendingItem, Result, open_database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "p.sqlite3"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = opened(path)
    yield journal
    journal.close()


def opened(path: Path) -> Journal:
    return Journal(path, "chain-1", "con_job_workflow")


def in_earlier_release(path: Path, version: int, *statements: str) -> None:
    """Make or change a journal as the release with the schema `version` does."""
    with closing(sqlite3.connect(path)) as earlier:
        (present,) = earlier.execute("PRAGMA user_version").fetchone()
        for script in MIGRATIONS[present:version]:
            earlier.executescript(script)
        earlier.execute(f"PRAGMA user_version = {max(version, present)}")
        for statement in statements:
            earlier.execute(statement)
        earlier.commit()


READER = """
INSERT INTO reader (id, chain_id, contract, cursor)
VALUES (1, 'chain-1', 'con_job_workflow', '{"place": [7, 0, 0], "seen": {}}')
"""


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
def test_journal_of_an_earlier_release_is_taken_over(path: Path, version: int) -> None:
    in_earlier_release(
        path,
        version,
        READER,
        "INSERT INTO open_items (item_id, due) VALUES ('held', 1e12)",
        "INSERT INTO open_items (item_id, due) VALUES ('waits', 5)",
        "INSERT INTO results VALUES ('held', 1, 1, 'r')",
    )
    journal = opened(path)
    assert journal.cursor().position == EventPosition(7, 0, 0)
    assert [item.item_id for item in journal.recover()] == ["held"]
    assert journal.recorded_result("held", 1) == Result(completed=True, text="r")
    assert [item.item_id for item in journal.claim_due(1e9, {"": 9}, 9)] == ["waits"]
    journal.close()


def test_journal_keeps_tries_of_the_release_before(path: Path) -> None:
    in_earlier_release(
        path, 3, READER, "INSERT INTO failed_tries VALUES ('a', 2, 0)", "PRAGMA user_version = 3"
    )
    journal = opened(path)
    assert journal.failed_tries("a") == (2, 0.0)
    journal.close()


def test_release_before_goes_on_with_the_journal_after_a_rollback(path: Path) -> None:
    journal = opened(path)
    journal.schedule([PendingItem("held", "job", 0.0), PendingItem("waits", "job", 5.0)])
    journal.claim_due(1.0, {"job": 1}, 1)
    journal.mark_claimed([("held", "job")])
    journal.record_results([("held", 1, Result(completed=True, text="r"))])
    journal.close()
    with closing(sqlite3.connect(path)) as earlier:
        # It refuses a journal whose version is above 3, and works on what these statements find.
        assert earlier.execute("PRAGMA user_version").fetchone() == (3,)
        due = "SELECT item_id FROM open_items WHERE kind = 'job' AND due <= 9 ORDER BY due"
        assert earlier.execute(due).fetchall() == [("held",), ("waits",)]
        result = "SELECT completed, text FROM results WHERE item_id = 'held' AND attempt = 1"
        assert earlier.execute(result).fetchone() == (1, "r")
        earlier.execute("UPDATE open_items SET due = 1e12 WHERE item_id = 'waits'")
        earlier.execute("INSERT INTO open_items (item_id, kind, due) VALUES ('new', 'job', 1)")
        earlier.commit()
    journal = opened(path)
    assert sorted(item.item_id for item in journal.recover()) == ["held", "waits"]
    assert [item.item_id for item in journal.claim_due(1e9, {"job": 9}, 9)] == ["new"]
    journal.close()


def test_journal_of_a_newer_release_is_refused(path: Path) -> None:
    opened(path).close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 1000")
    with pytest.raises(SettingError, match=r"newer release.* 1000") as refused:
        opened(path)
    assert "XIAN_WORKFLOW_STATE_DIR" in refused.value.hint


def test_journal_of_another_chain_is_refused_with_both_names(journal: Journal, path: Path) -> None:
    journal.close()
    with pytest.raises(SettingError, match=r"chain-1.*chain-2"):
        Journal(path, "chain-2", "con_job_workflow")


@pytest.mark.usefixtures("journal")
def test_journal_is_refused_to_a_second_processor(path: Path) -> None:
    with pytest.raises(SettingError, match="another processor"):
        opened(path)


def test_damaged_journal_is_refused_with_its_path(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(SettingError, match="is not a journal, or a damaged one") as refused:
        opened(path)
    assert str(path) in str(refused.value)


def test_journal_in_a_folder_that_is_a_file_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(SettingError, match=r"state/p\.sqlite3 can't be opened"):
        open_database(tmp_path / "state" / "p.sqlite3", "chain-1", "con_job_workflow")


def test_write_ahead_log_shrinks_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflow_backend.processor.schema.WAL_BYTES", 100_000)
    journal = opened(path)
    journal.schedule([PendingItem(f"i{number}", "job", 0.0) for number in range(100_000)])
    log = path.with_name("p.sqlite3-wal")
    assert log.stat().st_size > 4_096_000  # SQLite takes a longer one back by itself
    for number in range(3):
        journal.schedule([PendingItem(f"i{number}", "job", 1.0)])
    assert log.stat().st_size <= 100_000
    journal.close()
