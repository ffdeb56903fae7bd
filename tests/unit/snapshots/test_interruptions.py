"""A restore that is killed at any moment can be finished or undone: all moments are tried.

A home without an index, and node's programs that only make files: what is held to its promise here
is the order of the steps.
"""

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.snapshots import (
    files,
    journal,
    node_programs,
    restoring,
    swapping,
)
from workflow_backend.operations.snapshots.blocks import Look, Store
from workflow_backend.operations.snapshots.restoring import Restore, Step
from workflow_backend.operations.snapshots.signatures import Trust

from . import made

type Act = Callable[[], Any]
KILLED = 9


class Blocks:
    """A store whose blocks lead to the snapshot and on from it."""

    def __init__(self, *_: object) -> None:
        pass

    def look(self, height: int, *_: int) -> Look:
        return Look(Store(made.CHAIN, 1, height + 5, False), made.APP_HASH, "", {})


def node_program(_: Path, request: dict[str, Any], __: str = "snapshot") -> dict[str, Any]:
    """What the node's own program leaves behind."""
    if request["action"] == "import":
        storage = Path(request["storage"])
        (storage / "lmdb").mkdir(parents=True)
        (storage / "state").write_text("new")
    return {"index_schema": 7}


class Home:
    """A home with an old state, or none, and a snapshot for it."""

    def __init__(self, path: Path, *, state: bool = True) -> None:
        self.path = path / "node" / ".cometbft"
        self.state = self.path / "xian"
        (self.path / "config").mkdir(parents=True)
        (self.path / "config" / "genesis.json").write_text("{}")
        (self.path / "data").mkdir()
        (self.path / "data" / "priv_validator_state.json").write_text("{}")
        (self.path / "config" / "xian.toml").write_text("bds_enabled = false\n")
        if state:
            (self.state / "bds-spool").mkdir(parents=True)
            (self.state / "bds-spool" / "1.json").write_text("a block")
            (self.state / "state").write_text("old")
        genesis = files.measure(self.path / "config" / "genesis.json").sha256
        snapshot = made.snapshot(path / "one", genesis_sha256=genesis)
        digest = files.measure(snapshot / "manifest.json").sha256
        python, cometbft = Path("python"), Path("cometbft")
        self.wanted = Restore(
            snapshot=snapshot,
            trust=Trust(manifest_sha256=digest),
            chain_id=made.CHAIN,
            genesis_sha256=genesis,
            home=self.path,
            node_python=python,
            cometbft=cometbft,
        )
        self.step = Step(home=self.path, node_python=python, cometbft=cometbft)
        self.kept = self.path.parent / "xian.before-restore"

    def has(self) -> str | None:
        """Whose the state is."""
        path = self.state / "state"
        return path.read_text() if path.exists() else None

    def prepare(self) -> Any:
        return restoring.prepare(self.wanted, check=False)

    def swap(self) -> Any:
        return swapping.swap(self.step, check=False)

    def undo(self) -> Any:
        return swapping.undo(self.step, check=False)

    def finish(self) -> Any:
        return swapping.finish(self.step, check=False)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int] | None]:
    """A node that is stopped, or runs well when the list says how."""
    told: list[tuple[str, int] | None] = [None]

    async def node_told(_: Path) -> tuple[str, int] | None:
        return told[0]

    monkeypatch.setattr(node_programs, "ask", node_program)
    monkeypatch.setattr(restoring, "OwnStore", Blocks)
    monkeypatch.setattr(swapping, "OwnStore", Blocks)
    monkeypatch.setattr(swapping, "_node_told", node_told)
    return told


def killed_before(moment: int, act: Act) -> bool:
    """Run it in a process that dies before its step number `moment`; tell whether it did."""
    child = os.fork()
    if child == 0:
        steps = itertools.count()

        def step(real: Callable[..., Any]) -> Callable[..., Any]:
            def dies(*arguments: Any, **named: Any) -> Any:
                if next(steps) == moment:
                    os._exit(KILLED)
                return real(*arguments, **named)

            return dies

        Path.rename = step(Path.rename)  # type: ignore[method-assign]
        Path.unlink = step(Path.unlink)  # type: ignore[method-assign]
        Path.mkdir = step(Path.mkdir)  # type: ignore[method-assign]
        Path.replace = step(Path.replace)  # type: ignore[method-assign]
        shutil.rmtree = step(shutil.rmtree)  # type: ignore[assignment]
        shutil.copyfile = step(shutil.copyfile)
        files.sync = step(files.sync)
        try:
            act()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, KILLED}
    return status == KILLED


def moments(tmp_path: Path, *, state: bool = True) -> Iterator[tuple[int, Home]]:
    """A fresh home for each moment; the caller ends it once nobody was killed any more."""
    for moment in itertools.count():
        assert moment < 100
        yield moment, Home(tmp_path / str(moment), state=state)


@pytest.mark.parametrize("state", [True, False])
def test_it_goes_well(quiet: list[Any], tmp_path: Path, state: bool) -> None:
    home = Home(tmp_path, state=state)
    assert restoring.status(home.step, check=False) == {"restore": None}
    home.prepare()
    assert home.has() == ("old" if state else None)
    home.swap()
    assert home.has() == "new"
    assert (home.state / "bds-spool" / "1.json").exists() == state
    assert home.swap()["changed"] == []
    assert home.prepare()["restore"]["phase"] == "swapped"
    with pytest.raises(RecoveryRefused, match="does not answer"):
        home.finish()
    quiet[0] = (made.CHAIN, made.HEIGHT)
    home.finish()
    assert home.kept.exists() == state
    assert not (home.path.parent / "restore").exists()
    assert home.finish() == {"changed": [], "restore": None}
    assert home.undo() == {"changed": [], "restore": None}


@pytest.mark.parametrize("state", [True, False])
@pytest.mark.parametrize("then", ["finished", "undone"])
def test_a_killed_preparation(tmp_path: Path, state: bool, then: str) -> None:
    for moment, home in moments(tmp_path, state=state):
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


@pytest.mark.parametrize("state", [True, False])
@pytest.mark.parametrize("then", ["finished", "undone"])
def test_a_killed_swap(quiet: list[Any], tmp_path: Path, state: bool, then: str) -> None:
    for moment, home in moments(tmp_path, state=state):
        quiet[0] = None
        home.prepare()
        killed = killed_before(moment, home.swap)
        if then == "finished":
            home.swap()
            assert home.has() == "new"
            assert (home.state / "bds-spool" / "1.json").exists() == state
            quiet[0] = (made.CHAIN, made.HEIGHT)
            home.finish()
            assert home.kept.exists() == state
        else:
            home.undo()
            assert home.has() == ("old" if state else None)
        assert not (home.path.parent / "restore").exists()
        if not killed:
            return


@pytest.mark.parametrize("state", [True, False])
def test_a_killed_undo(tmp_path: Path, state: bool) -> None:
    for moment, home in moments(tmp_path, state=state):
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
def test_a_killed_finish(quiet: list[Any], tmp_path: Path, state: bool) -> None:
    for moment, home in moments(tmp_path, state=state):
        quiet[0] = None
        home.kept.mkdir(parents=True)
        (home.kept / "older").write_text("from before")
        home.prepare()
        home.swap()
        quiet[0] = (made.CHAIN, made.HEIGHT)
        killed = killed_before(moment, home.finish)
        home.finish()
        assert home.has() == "new"
        assert (home.kept / "older").exists() != state
        assert (home.kept / "state").exists() == state
        quiet[0] = None
        home.prepare()
        home.swap()
        if not killed:
            return


def test_another_snapshot_waits_for_the_first(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    home.swap()
    genesis = home.wanted.genesis_sha256
    second = made.snapshot(tmp_path / "two", genesis_sha256=genesis, host="beta")
    digest = files.measure(second / "manifest.json").sha256
    other = {"snapshot": second, "trust": Trust(manifest_sha256=digest)}
    with pytest.raises(RecoveryRefused, match="the restore of one was begun at"):
        restoring.prepare(home.wanted.model_copy(update=other), check=False)
    home.undo()
    restoring.prepare(home.wanted.model_copy(update=other), check=False)
    restoring.prepare(home.wanted, check=False)  # what is only prepared gives way


def test_steps_come_in_their_order(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(RecoveryRefused, match="no restore is under way"):
        home.swap()
    home.prepare()
    with pytest.raises(RecoveryRefused, match="is prepared, not in its place"):
        home.finish()


def test_a_rehearsal_changes_nothing(quiet: list[Any], tmp_path: Path) -> None:
    home = Home(tmp_path)
    rehearsed = restoring.prepare(home.wanted, check=True)
    assert not (home.path.parent / "restore").exists()
    assert rehearsed["changed"] == home.prepare()["changed"]
    swapping.swap(home.step, check=True)
    assert home.has() == "old"
    home.swap()
    swapping.undo(home.step, check=True)
    assert home.has() == "new"
    quiet[0] = (made.CHAIN, made.HEIGHT)
    swapping.finish(home.step, check=True)
    assert not home.kept.exists()


def test_a_node_that_runs_is_not_touched(quiet: list[Any], tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    quiet[0] = (made.CHAIN, made.HEIGHT)
    with pytest.raises(RecoveryRefused, match=r"\.cometbft runs$"):
        home.swap()
    assert home.has() == "old"
    quiet[0] = None
    home.swap()
    quiet[0] = (made.CHAIN, made.HEIGHT - 1)
    with pytest.raises(RecoveryRefused, match="at height 11"):
        home.finish()
    with pytest.raises(RecoveryRefused, match=r"\.cometbft runs$"):
        home.undo()
    assert home.has() == "new"


def test_a_state_that_an_app_made_meanwhile_is_not_lost(tmp_path: Path) -> None:
    home = Home(tmp_path)
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


def test_another_genesis_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (home.path / "config" / "genesis.json").write_text("{} ")
    with pytest.raises(RecoveryRefused, match="is another genesis"):
        home.prepare()


def test_restore_refuses_a_home_that_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)

    def refuses(python: Path, request: dict[str, Any], program: str = "snapshot") -> Any:
        if request["action"] == "whole":
            raise RecoveryRefused("priv_validator_state.json is empty")
        return node_program(python, request, program)

    monkeypatch.setattr(node_programs, "ask", refuses)
    for check in (True, False):
        with pytest.raises(RecoveryRefused, match="is empty"):
            restoring.prepare(home.wanted, check=check)
    assert not (home.path.parent / "restore").exists()


def test_a_journal_of_another_release_is_not_guessed_at(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    path = home.path.parent / "restore" / "journal.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "more": 1}))
    for act in (home.prepare, home.swap, home.undo, home.finish):
        with pytest.raises(RecoveryRefused, match="can't be read"):
            act()
    assert home.has() == "old"
