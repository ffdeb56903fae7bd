"""Control groups of hosts and commands, as the kernel gives and takes them."""

import errno
import os
from pathlib import Path

import pytest
from tests.hosts import group
from tests.hosts.group import Group


@pytest.fixture
def gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Group:
    """A group whose file can still be opened and no longer be read, as while it is removed."""
    monkeypatch.setattr(group, "root", lambda: tmp_path)
    found = Group("wbh-gone")
    found.path.mkdir()
    (found.path / "cgroup.events").touch()

    def read(*_: object, **__: object) -> str:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(Path, "read_text", read)
    return found


def test_group_that_goes_while_it_is_read_is_empty(gone: Group) -> None:
    assert gone.is_empty()


def test_group_that_is_gone_is_empty_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "root", lambda: tmp_path)
    absent = Group("wbh-absent")
    assert absent.is_empty()
    absent.kill()
    assert list(tmp_path.iterdir()) == []


def test_group_removed_by_two_threads_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "root", lambda: tmp_path)
    shared = Group("wbh-shared")
    (shared.path / "nested").mkdir(parents=True)
    rmdir = Path.rmdir

    def twice(folder: Path) -> None:
        rmdir(folder)
        rmdir(folder)

    monkeypatch.setattr(Path, "rmdir", twice)
    shared.remove()
    assert not shared.path.exists()
