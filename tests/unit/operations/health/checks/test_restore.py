"""The restore's check: one that was cut short is named until it has ended."""

import os
from pathlib import Path

import pytest

from workflow_backend.operations.health.checks import restore
from workflow_backend.operations.health.result import State
from workflow_backend.operations.snapshots.journal import Entry, Journal, Phase


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "node" / ".cometbft"
    (home.parent / "restore").mkdir(parents=True)
    return home


def write_journal(home: Path, phase: Phase) -> None:
    entry = Entry(
        phase=phase,
        name="older",
        digest="ab" * 32,
        snapshot=home.parent / "older",
        chain_id="net-1",
        height=7,
        app_hash="cd" * 32,
        had_state=True,
        index=None,
        aside="aside",
        begun_at="2026-01-01T12:00:00+00:00",
    )
    Journal(home).write(entry)


@pytest.mark.parametrize(
    ("phase", "word"), [("swapping", "does not start"), ("swapped", "old state waits")]
)
def test_restore_that_was_cut_short_is_named(home: Path, phase: Phase, word: str) -> None:
    assert restore.find_unfinished(home) == []
    write_journal(home, phase)
    (check,) = restore.find_unfinished(home)
    assert (check.name, check.state) == ("restore", State.FAILED)
    assert "the restore of older" in check.what
    assert word in check.what
    assert "restore-state-snapshot.yml" in check.hint


def test_restore_journal_that_is_a_pipe_or_a_link_is_refused(home: Path) -> None:
    journal = home.parent / "restore" / "journal.json"
    os.mkfifo(journal)
    assert "is not a regular file" in restore.find_unfinished(home)[0].what
    journal.unlink()
    journal.symlink_to("/etc/shadow")
    (check,) = restore.find_unfinished(home)
    assert check.state == State.FAILED
    assert "root:" not in check.what
