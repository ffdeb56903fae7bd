"""Root writes and takes nothing through what another account put in the way."""

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .loading import REPO, module, utility

safe_files = utility("safe_files")
text_files = module("text_files")
account_files = module("account_files")

ME = (os.geteuid(), os.getegid())
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root acts for another account")


def run(name: str, **arguments: Any) -> dict[str, Any]:
    """Run a module as Ansible does on a host; return what it answers."""
    script = (
        "import importlib, runpy, sys; "
        "importlib.import_module('ansible.module_utils').__path__.append(sys.argv[1]); "
        "sys.argv = [sys.argv[2]]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, REPO / "module_utils", REPO / "library" / f"{name}.py"],
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


@needs_root
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


@needs_root
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
    wanted = safe_files.folder(nobody / "new", make=(owner.pw_uid, owner.pw_gid))
    with pytest.raises(OSError, match=r"Too many levels|Not a directory|is no folder"), wanted:
        pass
    assert (tmp_path / "roots").stat().st_uid == 0
    assert list((tmp_path / "roots").iterdir()) == []


@needs_root
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


@needs_root
def test_only_the_accounts_own_plain_files_are_taken(nobody: Path, tmp_path: Path) -> None:
    account = pwd.getpwnam("nobody")
    (nobody / "good").write_text("state")
    os.chown(nobody / "good", account.pw_uid, account.pw_gid)
    (nobody / "link").symlink_to("/etc/shadow")
    (nobody / "roots").write_text("a secret")
    os.mkfifo(nobody / "fifo")
    there = tmp_path / "outgoing"
    wanted = {"folder": str(nobody), "account": "nobody", "destination": str(there)}
    for _ in range(2):
        run("account_files", names=["good"], **wanted)
        assert (there / "good").read_text() == "state"
    assert (there.stat().st_uid, there.stat().st_mode & 0o777) == (0, 0o700)
    for name in ("link", "fifo", "roots", "../good", "..", "gone"):
        assert "msg" in run("account_files", names=[name], **wanted), name
    assert [path.name for path in there.iterdir()] == ["good"]
