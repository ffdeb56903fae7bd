"""The releases of a host side by side: which is current, which go, and who may change that."""

import fcntl
import os
import shutil
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from .small import Release, files, store


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "opt" / "workflow-backend"


def installed(root: Path, *names: str) -> None:
    """Releases, the first of them installed first."""
    for age, name in enumerate(reversed(names)):
        release = Release(root.parents[1], root, name)
        there = release.bring(root)
        assert store.Store(root, False).install(name, release.description, there, True)
        mark = root / "releases" / name / store.MARK
        os.utime(mark, (time.time() - 100 * age,) * 2)


def releases(root: Path) -> set[str]:
    return {path.name for path in (root / "releases").iterdir()}


def test_current_moves_and_previous_remembers(root: Path) -> None:
    installed(root, "1-a", "2-b")
    for name, current, previous in (
        ("1-a", "1-a", None),
        ("2-b", "2-b", "1-a"),
        ("2-b", "2-b", "1-a"),  # nothing to do
        ("1-a", "1-a", "2-b"),  # and back
    ):
        store.Store(root, False).activate(name)
        now = store.Store(root, False)
        assert (now.current, now.previous) == (current, previous)
    assert (root / "current" / "bin" / "cometbft").exists()


def test_after_going_back_there_is_nothing_before(root: Path) -> None:
    installed(root, "1-a", "2-b", "3-c")
    for name in ("1-a", "2-b", "3-c"):
        store.Store(root, False).activate(name)
    for _ in range(2):
        store.Store(root, False).activate("2-b", back=True)
        now = store.Store(root, False)
        assert (now.current, now.previous) == ("2-b", "2-b")
    store.Store(root, False).activate("3-c")
    assert store.Store(root, False).previous == "2-b"
    # One that the change has not reached is told the same.
    store.Store(root, False).activate("3-c", back=True)
    assert store.Store(root, False).previous == "3-c"


def test_what_is_not_installed_never_becomes_current(root: Path) -> None:
    installed(root, "1-a")
    store.Store(root, False).activate("1-a")
    (root / "releases" / "2-b").mkdir()  # without its mark
    with pytest.raises(files.ModuleError, match="not installed"):
        store.Store(root, False).activate("2-b")
    assert (root / "current").readlink() == Path("releases/1-a")


def test_there_is_a_current_release_at_every_moment(root: Path) -> None:
    installed(root, "1-a", "2-b")
    store.Store(root, False).activate("1-a")
    ended, seen = threading.Event(), set()

    def look() -> None:
        while not ended.is_set():
            seen.add(str((root / "current").readlink()))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for turn in range(300):
            store.Store(root, False).activate(("2-b", "1-a")[turn % 2])
    finally:
        ended.set()
        reader.join()
    assert seen == {"releases/1-a", "releases/2-b"}  # a missing link would have ended the reader


def test_an_interrupted_move_is_finished(root: Path) -> None:
    installed(root, "1-a", "2-b")
    store.Store(root, False).activate("1-a")
    (root / ".current.new").symlink_to("releases/2-b")  # made, and not yet in its place
    store.Store(root, False).activate("2-b")
    assert (root / "current").readlink() == Path("releases/2-b")
    assert {path.name for path in root.iterdir()} == {"releases", "current", "previous"}


@pytest.mark.parametrize(
    ("keep", "stay"),
    [
        (5, {"1-a", "2-b", "3-c", "4-d"}),
        (3, {"1-a", "2-b", "4-d"}),
        (1, {"1-a", "2-b"}),  # the current and the previous one always stay
    ],
)
def test_the_oldest_go(root: Path, keep: int, stay: set[str]) -> None:
    installed(root, "1-a", "2-b", "3-c", "4-d")
    for name in ("2-b", "1-a"):
        store.Store(root, False).activate(name)
    rehearsal = store.Store(root, True)
    rehearsal.prune(keep)
    assert releases(root) == {"1-a", "2-b", "3-c", "4-d"}
    host = store.Store(root, False)
    host.prune(keep)
    assert releases(root) == stay
    assert host.changes == rehearsal.changes
    assert len(host.changes) == 4 - len(stay)


def test_a_release_that_runs_stays(root: Path) -> None:
    installed(root, "1-a", "2-b", "3-c")
    store.Store(root, False).activate("3-c")
    program = root / "releases" / "1-a" / "bin" / "sleep"
    shutil.copy(Path(shutil.which("sleep") or "/bin/sleep").resolve(), program)
    with subprocess.Popen([program, "600"]) as running:
        try:
            store.Store(root, False).prune(1)
            assert releases(root) == {"1-a", "3-c"}
        finally:
            running.kill()
    store.Store(root, False).prune(1)
    assert releases(root) == {"3-c"}


def test_what_interrupted_runs_left_goes_too(root: Path) -> None:
    installed(root, "1-a")
    for half in (".2-b.new", "2-b"):
        (root / "releases" / half).mkdir()
    fresh, stale = root / "3-c.tar.gz", root / "2-b.tar.gz"
    for archive in (fresh, stale):
        archive.write_text("archive")
    os.utime(stale, (time.time() - 2 * store.STALE,) * 2)
    store.Store(root, False).prune(3)
    assert releases(root) == {"1-a"}
    assert fresh.exists()  # another run may be about to unpack it
    assert not stale.exists()


def test_two_runs_take_turns(root: Path) -> None:
    root.mkdir(parents=True)
    handle = os.open(root / store.LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with (
            pytest.raises(files.ModuleError, match="another run has been working"),
            store.locked(root, 0, False),
        ):
            pass
        threading.Timer(0.3, lambda: fcntl.flock(handle, fcntl.LOCK_UN)).start()
        with store.locked(root, 10, False):
            pass
    finally:
        os.close(handle)


def test_who_may_read_the_releases_keeps_nobody_from_them(root: Path) -> None:
    root.mkdir(parents=True)
    handle = os.open(root, os.O_RDONLY)  # as any account of the host can
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with store.locked(root, 0, True):
            assert not (root / store.LOCK).exists()
        with store.locked(root, 0, False):
            assert stat.S_IMODE((root / store.LOCK).stat().st_mode) == 0o600
    finally:
        os.close(handle)
