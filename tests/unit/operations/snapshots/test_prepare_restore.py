"""The first step of a restore: what it verifies, and that it may be killed at any moment."""

from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.snapshots import files, node_programs, prepare_restore
from workflow_backend.operations.snapshots.signatures import Trust

from . import samples
from .restore_home import RestoreHome, fresh_homes, killed_before, run_node_program

pytestmark = pytest.mark.usefixtures("node_status")


@pytest.mark.parametrize("state", [True, False])
@pytest.mark.parametrize("then", ["finished", "undone"])
def test_preparation_that_is_killed_can_be_finished_or_undone(
    tmp_path: Path, state: bool, then: str
) -> None:
    for moment, home in fresh_homes(tmp_path, state=state):
        killed = killed_before(moment, home.prepare)
        assert home.has() == ("old" if state else None)
        if then == "finished":
            home.prepare()
            home.swap()
            assert home.has() == "new"
        else:
            home.undo()
            assert home.has() == ("old" if state else None)
        if not killed:
            return


def test_preparation_of_another_snapshot_waits_for_the_first(tmp_path: Path) -> None:
    home = RestoreHome(tmp_path)
    home.prepare()
    home.swap()
    genesis = home.request.genesis_sha256
    second = samples.snapshot(tmp_path / "two", genesis_sha256=genesis, host="beta")
    digest = files.measure(second / "manifest.json").sha256
    other = {"snapshot": second, "trust": Trust(manifest_sha256=digest)}
    with pytest.raises(RecoveryRefused, match="the restore of one was begun at"):
        prepare_restore.prepare(home.request.model_copy(update=other), check=False)
    home.undo()
    prepare_restore.prepare(home.request.model_copy(update=other), check=False)
    prepare_restore.prepare(home.request, check=False)  # what is only prepared gives way


def test_preparation_refuses_another_genesis(tmp_path: Path) -> None:
    home = RestoreHome(tmp_path)
    (home.path / "config" / "genesis.json").write_text("{} ")
    with pytest.raises(RecoveryRefused, match="is another genesis"):
        home.prepare()


def test_preparation_refuses_a_home_that_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = RestoreHome(tmp_path)

    def refuses(python: Path, request: dict[str, Any], program: str = "snapshot") -> Any:
        if request["action"] == "whole":
            raise RecoveryRefused("priv_validator_state.json is empty")
        return run_node_program(python, request, program)

    monkeypatch.setattr(node_programs, "ask", refuses)
    for check in (True, False):
        with pytest.raises(RecoveryRefused, match="is empty"):
            prepare_restore.prepare(home.request, check=check)
    assert not (home.path.parent / "restore").exists()
