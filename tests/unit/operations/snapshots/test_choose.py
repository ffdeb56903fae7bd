"""A restore that has begun comes to its end before another snapshot is taken."""

from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.snapshots import actions, files
from workflow_backend.operations.snapshots.journal import Entry, Journal, Phase

from . import samples


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "node" / ".cometbft"
    home.mkdir(parents=True)
    for name, height in (("older", 7), ("newer", 12)):
        samples.snapshot(tmp_path / "snapshots" / name, height=height)
    return home


def under_way(home: Path, phase: Phase) -> str:
    """Write the journal of a restore of the older snapshot; return its digest."""
    snapshot = home.parents[1] / "snapshots" / "older"
    digest = files.measure(snapshot / "manifest.json").sha256
    (home.parent / "restore").mkdir()
    entry = Entry(
        phase=phase,
        name="older",
        digest=digest,
        snapshot=snapshot,
        chain_id=samples.CHAIN,
        height=7,
        app_hash=samples.APP_HASH,
        had_state=True,
        index=None,
        aside="x",
        begun_at="then",
    )
    Journal(home).write(entry)
    return digest


def choose(home: Path, **asked: Any) -> dict[str, Any]:
    request = {"home": home, "directory": home.parents[1] / "snapshots", **asked}
    return actions.act("choose", request, check=True)


def chosen(home: Path, **asked: Any) -> str:
    return Path(choose(home, **asked)["snapshot"]).name


def test_newest_or_the_one_that_is_asked_for(home: Path) -> None:
    assert chosen(home) == "newer"
    assert chosen(home, name="older") == "older"
    assert chosen(home, name=str(home.parents[1] / "snapshots" / "older")) == "older"
    assert chosen(home, uploaded={"path": "/incoming/x", "digest": "ab" * 32}) == "x"


def test_missing_snapshot_is_named_with_the_alternatives(home: Path) -> None:
    with pytest.raises(RecoveryRefused, match="there is no snapshot in") as refused:
        choose(home, directory=home)
    assert "bootstrap-state-sync" in refused.value.explain()


@pytest.mark.parametrize("phase", ["swapping", "swapped", "finishing"])
def test_restore_of_another_snapshot_waits_for_the_first(home: Path, phase: Phase) -> None:
    digest = under_way(home, phase)
    assert chosen(home) == chosen(home, name="older") == "older"
    assert chosen(home, uploaded={"path": "/incoming/x", "digest": digest}) == "older"
    for other in ({"name": "newer"}, {"uploaded": {"path": "/x", "digest": "ab" * 32}}):
        with pytest.raises(RecoveryRefused, match="the restore of older was begun") as refused:
            choose(home, **other)
        assert "snapshots_undo" in refused.value.explain()
    assert choose(home, undo=True, name="newer")["undo"] is True


def test_restore_that_is_only_prepared_gives_way(home: Path) -> None:
    under_way(home, "prepared")
    assert chosen(home) == "older"
    assert chosen(home, name="newer") == "newer"


def test_undo_that_was_begun_goes_on_whatever_is_asked(home: Path) -> None:
    under_way(home, "undoing")
    found = choose(home, name="newer")
    assert (found["undo"], found["snapshot"]) == (True, None)
    assert found["restore"]["name"] == "older"
