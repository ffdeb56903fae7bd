"""Which snapshots stay."""

from pathlib import Path

from workflow_backend.operations.snapshots import retention
from workflow_backend.operations.snapshots.actions import act
from workflow_backend.operations.snapshots.locks import shared_lock

from . import samples


def snapshots(directory: Path, *heights: int) -> None:
    for height in heights:
        samples.snapshot(directory / f"h{height}", height=height)


def names(directory: Path, keep: int) -> list[str]:
    found = retention.kept(directory)
    return [one.path.name for one in retention.superfluous(found, keep)]


def test_newest_stay(tmp_path: Path) -> None:
    snapshots(tmp_path, 9, 100, 20, 3)
    assert [one.path.name for one in retention.kept(tmp_path)] == ["h100", "h20", "h9", "h3"]
    assert names(tmp_path, 2) == ["h9", "h3"]
    assert names(tmp_path, 4) == []
    assert names(tmp_path, 0) == ["h20", "h9", "h3"]


def test_newest_that_was_verified_stays_whatever_comes(tmp_path: Path) -> None:
    snapshots(tmp_path, 1, 2, 3, 4)
    for name in ("h1", "h2"):
        (tmp_path / name / "verified.json").write_text("{}")
    assert names(tmp_path, 1) == ["h3", "h1"]


def test_files_that_are_no_snapshots_are_left_alone(tmp_path: Path) -> None:
    snapshots(tmp_path, 5)
    (tmp_path / "mine").mkdir()
    (tmp_path / "note").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "h5")
    half = tmp_path / f"{retention.MAKING}x"
    half.mkdir()
    assert [one.path.name for one in retention.kept(tmp_path)] == ["h5"]
    retention.remove_halves(tmp_path)
    assert not half.exists()
    assert (tmp_path / "mine").exists()
    retention.remove(tmp_path / "h5")
    assert retention.kept(tmp_path) == []
    assert retention.kept(tmp_path / "none") == []


def test_they_are_listed(tmp_path: Path) -> None:
    snapshots(tmp_path, 1, 2)
    (tmp_path / "h1" / "verified.json").write_text("{}")
    listed = act("list", {"directory": str(tmp_path)}, check=False)["snapshots"]
    assert [(one["height"], one["signed"], one["verified"]) for one in listed] == [
        (2, False, False),
        (1, False, True),
    ]


def test_folder_is_pruned_after_a_rehearsal(tmp_path: Path) -> None:
    snapshots(tmp_path, 1, 2, 3)
    request = {"directory": str(tmp_path), "keep": 1}
    expected = [str(tmp_path / "h2"), str(tmp_path / "h1")]
    assert act("prune", request, check=True)["changed"] == expected
    assert len(retention.kept(tmp_path)) == 3
    assert act("prune", request, check=False)["changed"] == expected
    assert [path.name for path in tmp_path.iterdir()] == ["h3"]
    assert act("prune", request, check=False)["changed"] == []


def test_that_is_held_stays_until_it_is_not(tmp_path: Path) -> None:
    snapshots(tmp_path, 1, 2, 3)
    request = {"directory": str(tmp_path), "keep": 1}
    with shared_lock(tmp_path / "h1"), shared_lock(tmp_path / "h1"):
        assert act("prune", request, check=False)["changed"] == [str(tmp_path / "h2")]
        assert (tmp_path / "h1" / "manifest.json").exists()
    assert act("prune", request, check=False)["changed"] == [str(tmp_path / "h1")]


def test_that_a_restore_needs_stays(tmp_path: Path) -> None:
    snapshots(tmp_path, 1, 2, 3)
    found = retention.kept(tmp_path)
    assert retention.superfluous(found, 1, tmp_path / "h1") == [found[1]]


def test_hold_of_a_missing_snapshot_is_no_error(tmp_path: Path) -> None:
    with shared_lock(tmp_path / "gone"):
        pass
