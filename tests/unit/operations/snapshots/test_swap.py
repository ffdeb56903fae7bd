"""The later steps of a restore: each may be killed at any moment, and then finished or undone."""

import json
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.snapshots import (
    journal,
    prepare_restore,
    swap,
)

from . import samples
from .restore_home import RestoreHome, fresh_homes, killed_before

pytestmark = pytest.mark.usefixtures("node_status")


@pytest.mark.parametrize("state", [True, False])
def test_restore_goes_well(node_status: list[Any], tmp_path: Path, state: bool) -> None:
    home = RestoreHome(tmp_path, state=state)
    assert prepare_restore.status(home.step, check=False) == {"restore": None}
    home.prepare()
    assert home.has() == ("old" if state else None)
    home.swap()
    assert home.has() == "new"
    assert (home.state / "bds-spool" / "1.json").exists() == state
    assert home.swap()["changed"] == []
    assert home.prepare()["restore"]["phase"] == "swapped"
    with pytest.raises(RecoveryRefused, match="does not answer"):
        home.finish()
    node_status[0] = (samples.CHAIN, samples.HEIGHT)
    home.finish()
    assert home.kept.exists() == state
    assert not (home.path.parent / "restore").exists()
    assert home.finish() == {"changed": [], "restore": None}
    assert home.undo() == {"changed": [], "restore": None}


@pytest.mark.parametrize("state", [True, False])
@pytest.mark.parametrize("then", ["finished", "undone"])
def test_swap_that_is_killed_can_be_finished_or_undone(
    node_status: list[Any], tmp_path: Path, state: bool, then: str
) -> None:
    for moment, home in fresh_homes(tmp_path, state=state):
        node_status[0] = None
        home.prepare()
        killed = killed_before(moment, home.swap)
        if then == "finished":
            home.swap()
            assert home.has() == "new"
            assert (home.state / "bds-spool" / "1.json").exists() == state
            node_status[0] = (samples.CHAIN, samples.HEIGHT)
            home.finish()
            assert home.kept.exists() == state
        else:
            home.undo()
            assert home.has() == ("old" if state else None)
        assert not (home.path.parent / "restore").exists()
        if not killed:
            return


@pytest.mark.parametrize("state", [True, False])
def test_undo_that_is_killed_can_be_repeated(tmp_path: Path, state: bool) -> None:
    for moment, home in fresh_homes(tmp_path, state=state):
        home.prepare()
        home.swap()
        killed = killed_before(moment, home.undo)
        home.undo()
        assert home.has() == ("old" if state else None)
        home.prepare()
        home.swap()
        assert home.has() == "new"
        if not killed:
            return


@pytest.mark.parametrize("state", [True, False])
def test_finish_that_is_killed_can_be_repeated(
    node_status: list[Any], tmp_path: Path, state: bool
) -> None:
    for moment, home in fresh_homes(tmp_path, state=state):
        node_status[0] = None
        home.kept.mkdir(parents=True)
        (home.kept / "older").write_text("from before")
        home.prepare()
        home.swap()
        node_status[0] = (samples.CHAIN, samples.HEIGHT)
        killed = killed_before(moment, home.finish)
        home.finish()
        assert home.has() == "new"
        assert (home.kept / "older").exists() != state
        assert (home.kept / "state").exists() == state
        node_status[0] = None
        home.prepare()
        home.swap()
        if not killed:
            return


def test_steps_are_refused_out_of_order(tmp_path: Path) -> None:
    home = RestoreHome(tmp_path)
    with pytest.raises(RecoveryRefused, match="no restore is in progress"):
        home.swap()
    home.prepare()
    with pytest.raises(RecoveryRefused, match="is prepared, not in its place"):
        home.finish()


def test_check_mode_changes_nothing(node_status: list[Any], tmp_path: Path) -> None:
    home = RestoreHome(tmp_path)
    rehearsed = prepare_restore.prepare(home.request, check=True)
    assert not (home.path.parent / "restore").exists()
    assert rehearsed["changed"] == home.prepare()["changed"]
    swap.swap(home.step, check=True)
    assert home.has() == "old"
    home.swap()
    swap.undo(home.step, check=True)
    assert home.has() == "new"
    node_status[0] = (samples.CHAIN, samples.HEIGHT)
    swap.finish(home.step, check=True)
    assert not home.kept.exists()


def test_swap_refuses_a_node_that_runs(node_status: list[Any], tmp_path: Path) -> None:
    home = RestoreHome(tmp_path)
    home.prepare()
    node_status[0] = (samples.CHAIN, samples.HEIGHT)
    with pytest.raises(RecoveryRefused, match=r"\.cometbft runs$"):
        home.swap()
    assert home.has() == "old"
    node_status[0] = None
    home.swap()
    node_status[0] = (samples.CHAIN, samples.HEIGHT - 1)
    with pytest.raises(RecoveryRefused, match="at height 11"):
        home.finish()
    with pytest.raises(RecoveryRefused, match=r"\.cometbft runs$"):
        home.undo()
    assert home.has() == "new"


def test_swap_refuses_a_state_that_an_app_made_meanwhile(tmp_path: Path) -> None:
    home = RestoreHome(tmp_path)
    home.prepare()
    journals = journal.Journal(home.path)
    entry = journals.read()
    assert entry is not None
    journals.write(entry.model_copy(update={"phase": "swapping"}))
    (journals.folder / "old").mkdir()
    home.state.rename(journals.folder / "old" / "xian")
    home.state.mkdir()
    with pytest.raises(RecoveryRefused, match="made a new state"):
        home.swap()
    home.undo()
    assert home.has() == "old"


def test_steps_refuse_a_journal_of_another_release(tmp_path: Path) -> None:
    home = RestoreHome(tmp_path)
    home.prepare()
    path = home.path.parent / "restore" / "journal.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "more": 1}))
    for act in (home.prepare, home.swap, home.undo, home.finish):
        with pytest.raises(RecoveryRefused, match="can't be read"):
            act()
    assert home.has() == "old"
