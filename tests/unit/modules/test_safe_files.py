"""Root writes and takes nothing through what another account put in the way."""

import errno
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .loading import COLLECTIONS, PLUGINS, module, utility

safe_files = utility("safe_files")
text_files = module("text_files")
account_files = module("account_files")

ME = (os.geteuid(), os.getegid())


def run(name: str, **arguments: Any) -> dict[str, Any]:
    """Run a module as Ansible does on a host; return what it answers."""
    script = (
        "import runpy, sys; sys.path.insert(0, sys.argv[1]); name = sys.argv[2]; "
        "sys.argv = [name]; runpy.run_module(name, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, COLLECTIONS, f"{PLUGINS}.modules.{name}"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        check=False,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[Path]:
    """A folder of another account, below one of root's."""
    tmp_path.chmod(0o755)
    folder = tmp_path / "account"
    folder.mkdir()
    account = pwd.getpwnam("nobody")
    os.chown(folder, account.pw_uid, account.pw_gid)
    yield folder
    os.chown(folder, *ME)


def test_files_and_missing_folders_are_written_with_their_modes(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.conf"
    first = run("text_files", files={str(path): "ä\n"}, mode="0640", folders=[str(tmp_path / "d")])
    assert first["changed_files"] == [str(tmp_path / "d"), str(path)]
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("ä\n", 0o640)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    again = run("text_files", files={str(path): "ä\n"}, mode="0640", folders=[str(tmp_path / "d")])
    assert again["changed"] is False
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_no_text_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\xff\xfe\x00")
    path.chmod(0o600)
    assert run("text_files", files={str(path): "text"})["changed"] is True
    assert path.read_text() == "text"


def test_a_text_that_is_none_is_refused_in_a_line(tmp_path: Path) -> None:
    assert "surrogates" in run("text_files", files={str(tmp_path / "a"): "\ud800"})["msg"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_lies_in_the_files_own_place_is_replaced_and_not_followed(
    tmp_path: Path, kind: str
) -> None:
    path, elsewhere = tmp_path / "a", tmp_path / "elsewhere"
    elsewhere.write_text("kept")
    path.symlink_to(elsewhere) if kind == "link" else os.mkfifo(path)
    run("text_files", files={str(path): "text"})
    assert (path.is_symlink(), path.read_text(), elsewhere.read_text()) == (False, "text", "kept")


def test_a_link_of_roots_own_is_followed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    (tmp_path / "data" / "up").symlink_to(tmp_path / "data")
    run("text_files", files={str(tmp_path / "link" / "up" / "a"): "text"})
    assert (tmp_path / "data" / "a").read_text() == "text"
    (tmp_path / "loop").symlink_to("loop")
    assert "symbolic links" in run("text_files", files={str(tmp_path / "loop" / "a"): ""})["msg"]


@pytest.mark.as_root
def test_root_follows_no_link_of_an_account(nobody: Path, tmp_path: Path) -> None:
    """Neither one in the account's folder, nor one that it owns elsewhere."""
    (tmp_path / "roots").mkdir()
    (nobody / "folder").symlink_to(tmp_path / "roots")
    for path in (nobody / "folder" / "a", nobody / "folder" / "new" / "a"):
        answer = run("text_files", files={str(path): "text"}, owner="nobody")
        assert "is a link that another account may have made" in answer["msg"]
    answer = run("text_files", files={}, folders=[str(nobody / "folder" / "new")], owner="nobody")
    assert "another account" in answer["msg"]
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "folder").symlink_to(tmp_path / "roots")
    assert "another account" in run("text_files", files={str(shared / "folder" / "a"): ""})["msg"]
    assert list((tmp_path / "roots").iterdir()) == []


@pytest.mark.as_root
def test_a_folder_that_becomes_a_link_meanwhile_changes_nothing(
    nobody: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "roots").mkdir()
    mkdir, owner = os.mkdir, pwd.getpwnam("nobody")

    def races(name: str, mode: int, *, dir_fd: int) -> None:
        mkdir(name, mode, dir_fd=dir_fd)
        (nobody / "new").rmdir()
        (nobody / "new").symlink_to(tmp_path / "roots")

    monkeypatch.setattr(os, "mkdir", races)
    request = safe_files.folder(nobody / "new", make=(owner.pw_uid, owner.pw_gid))
    with pytest.raises(OSError, match=r"Too many levels|Not a directory|is not a folder"), request:
        pass
    assert (tmp_path / "roots").stat().st_uid == 0
    assert list((tmp_path / "roots").iterdir()) == []


@pytest.mark.as_root
def test_a_folder_of_roots_that_comes_meanwhile_is_not_given_away(
    nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account may move what root left in its folder, between two calls of root's."""
    roots = nobody / "roots"
    roots.mkdir(mode=0o700)
    (roots / "secret").write_text("of root")
    original = os.mkdir

    def moved(name: str, mode: int, *, dir_fd: int) -> None:
        original(name, mode, dir_fd=dir_fd)
        os.rename(name, "aside", src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        os.rename("roots", name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", moved)
    account = pwd.getpwnam("nobody")
    with safe_files.folder(nobody / "new", make=(account.pw_uid, account.pw_gid)) as holder:
        assert os.listdir(holder) == ["secret"]  # noqa: PTH208 - it is a descriptor
        assert os.fstat(holder).st_uid == 0


@pytest.mark.as_root
def test_only_the_accounts_own_plain_files_are_taken(nobody: Path, tmp_path: Path) -> None:
    account = pwd.getpwnam("nobody")
    (nobody / "good").write_text("state")
    os.chown(nobody / "good", account.pw_uid, account.pw_gid)
    (nobody / "link").symlink_to("/etc/shadow")
    (nobody / "roots").write_text("a secret")
    os.mkfifo(nobody / "fifo")
    there = tmp_path / "outgoing"
    request = {
        "folder": str(nobody),
        "account": "nobody",
        "destination": str(there),
        "most_bytes": 5,
    }
    for _ in range(2):
        run("account_files", names=["good"], **request)
        assert (there / "good").read_text() == "state"
    assert (there.stat().st_uid, there.stat().st_mode & 0o777) == (0, 0o700)
    for name in ("link", "fifo", "roots", "../good", "..", "gone"):
        assert "msg" in run("account_files", names=[name], **request), name
    assert [path.name for path in there.iterdir()] == ["good"]
    too_small = run("account_files", names=["good"], **{**request, "most_bytes": 4})
    assert "the file has 5 bytes, at most 4 are allowed" in too_small["msg"]


@pytest.mark.as_root
def test_account_file_on_another_disk_is_copied_within_its_limit(
    nobody: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may grow while it is copied: no more than it had when it was measured is taken."""
    account = pwd.getpwnam("nobody")
    grows = nobody / "grows"
    grows.write_bytes(b"state")
    os.chown(grows, account.pw_uid, account.pw_gid)

    def other_disk(*_: object, **__: object) -> None:
        with grows.open("ab") as file:
            file.write(b" and more")
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_disk)
    there = tmp_path / "outgoing"
    taken = {"folder": str(nobody), "account": "nobody", "destination": str(there)}
    account_files.take(names=["grows"], most_bytes=100, **taken)
    assert (there / "grows").read_bytes() == b"state"
