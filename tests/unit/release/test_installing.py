"""A release on a host: whole or not there, whatever happened before."""

import errno
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from .small import Release, everything, files, store, unpacking


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "opt" / "workflow-backend"


@pytest.fixture
def release(tmp_path: Path, root: Path) -> Release:
    return Release(tmp_path, root)


def install(
    root: Path, release: Release, *, check: bool = False, uploaded: bool = True, **changes: Any
) -> Any:
    """Install as the module does; returns the store, its answer in `answer`."""
    with store.locked(root, 0, check):
        host = store.Store(root, check)
        host.answer = host.install(
            release.id, release.description | changes, root / release.archive.name, uploaded
        )
    return host


def test_what_is_installed_is_what_was_packed(root: Path, release: Release) -> None:
    there = release.bring(root)
    assert install(root, release).answer is True
    home = root / "releases" / release.id
    packed = {
        name: sum_of
        for name, sum_of in everything(release.stage).items()
        if not name.startswith("install/")  # gone once the environments are made
    }
    found = everything(home)
    found.pop(store.MARK)
    found.pop(store.LISTING)
    assert found == packed
    assert (home / "bin/cometbft").stat().st_mode & 0o777 == 0o755
    assert (home / "contracts/first.s.py").stat().st_mode & 0o777 == 0o644
    assert not there.exists()


def test_a_second_run_changes_nothing(root: Path, release: Release) -> None:
    release.bring(root)
    install(root, release)
    before = everything(root)
    again = install(root, release)
    assert (again.answer, again.changes) == (True, [])
    assert everything(root) == before


def test_an_archive_that_another_run_made_superfluous_goes(root: Path, release: Release) -> None:
    release.bring(root)
    install(root, release)
    there = release.bring(root)
    again = install(root, release)
    assert (again.answer, again.changes) == (True, [])
    assert not there.exists()


def test_without_the_archive_it_is_asked_for(root: Path, release: Release) -> None:
    host = install(root, release, uploaded=False)
    assert (host.answer, host.changes) == (False, [])


def test_a_part_of_an_archive_is_brought_anew(root: Path, release: Release) -> None:
    there = release.bring(root)
    there.write_bytes(there.read_bytes()[:-100])
    assert install(root, release, uploaded=False).answer is False
    assert not there.exists()


def test_a_tampered_archive_is_never_unpacked(root: Path, release: Release) -> None:
    there = release.bring(root)
    content = bytearray(there.read_bytes())
    content[len(content) // 2] ^= 1
    there.write_bytes(content)
    with pytest.raises(files.ModuleError, match=r"SHA-256 is .*, the build's is"):
        install(root, release)
    assert set(everything(root)) == {store.LOCK}


@pytest.mark.parametrize("what", ["changed", "added", "left out", "link", "outside"])
def test_a_file_that_the_manifest_does_not_know_ends_it(
    root: Path, release: Release, what: str, tmp_path: Path
) -> None:
    evil = tmp_path / "evil"
    evil.write_text("evil")
    with tarfile.open(release.archive) as good, tarfile.open(tmp_path / "bad", "w:gz") as bad:
        for member in good:
            if what == "left out" and member.name == "contracts/first.s.py":
                continue
            if what == "changed" and member.name == "contracts/first.s.py":
                bad.add(evil, member.name)
                continue
            if what == "link" and member.issym():
                member.linkname = "/etc/passwd"
            bad.addfile(member, good.extractfile(member) if member.isreg() else None)
        if what in ("added", "outside"):
            bad.add(evil, {"added": "more", "outside": "../../../outside"}[what])
    release.archive.write_bytes((tmp_path / "bad").read_bytes())
    release.description["sha256"] = store.digest(release.archive)
    release.bring(root)
    with pytest.raises(files.ModuleError, match=r"not what the manifest says|the archive lacks"):
        install(root, release)
    assert not (root / "releases" / release.id).exists()
    assert not (root / "outside").exists()


def test_an_archive_that_unpacks_to_more_than_the_build_says_is_refused(
    root: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.bring(root)
    monkeypatch.setattr(unpacking, "MANIFEST", 8 << 10)
    with pytest.raises(files.ModuleError, match="unpacks to more than"):
        install(root, release, unpacked_bytes=-(8 << 10))
    monkeypatch.setattr(unpacking, "MANIFEST", 8)
    with pytest.raises(files.ModuleError, match="does not begin with its manifest"):
        install(root, release)
    assert not (root / "releases" / release.id).exists()


def test_an_archive_with_another_manifest_is_not_the_release(root: Path, release: Release) -> None:
    release.bring(root)
    with pytest.raises(files.ModuleError, match="manifest is not the one of the build"):
        install(root, release, manifest_sha256="0" * 64)


@pytest.mark.parametrize("left", ["unpacking", "without its mark"])
def test_what_an_interrupted_run_left_is_done_anew(root: Path, release: Release, left: str) -> None:
    name = f".{release.id}.new" if left == "unpacking" else release.id
    half = root / "releases" / name
    half.mkdir(parents=True)
    (half / "half").write_text("half")
    release.bring(root)
    assert install(root, release).answer is True
    home = root / "releases" / release.id
    assert store.Store(root, False).mark(release.id)
    assert not (home / "half").exists()
    assert [path.name for path in (root / "releases").iterdir()] == [release.id]


@pytest.mark.parametrize("step", ["unpack", "environments", "write"])
def test_a_full_disk_leaves_no_half_and_the_next_run_finishes(
    root: Path, release: Release, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Release(release.archive.parent, root, "0.9-b")
    before.bring(root)
    install(root, before).activate(before.id)
    there = release.bring(root)

    def full(*_: object) -> None:
        (root / "releases" / f".{release.id}.new").mkdir(exist_ok=True)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(store, step, full)
        with pytest.raises(OSError, match="No space left") as failed:
            install(root, release)
    assert "free 500 MB or lower release_keep" in files.explained(failed.value)
    assert [path.name for path in (root / "releases").iterdir()] == [before.id]
    assert (root / "current").readlink() == Path("releases/0.9-b")
    assert there.exists()  # it need not be uploaded again
    assert install(root, release).answer is True


def test_program_that_does_not_start_is_named_with_its_own_words(
    tmp_path: Path, root: Path
) -> None:
    release = Release(tmp_path, root, cometbft="#!/bin/sh\necho no such machine >&2; exit 3\n")
    release.bring(root)
    with pytest.raises(files.ModuleError, match=r"bin/cometbft ended with 3: no such machine"):
        install(root, release)
    assert store.Store(root, False).installed == []


def test_free_space_is_checked_before_anything_is_uploaded(root: Path, release: Release) -> None:
    with pytest.raises(files.ModuleError, match=r"has room for \d+ MB, and this needs"):
        install(root, release, uploaded=False, unpacked_bytes=1 << 50)


def test_other_content_under_the_same_name_is_refused(
    tmp_path: Path, root: Path, release: Release
) -> None:
    release.bring(root)
    install(root, release)
    (tmp_path / "other").mkdir()
    other = Release(tmp_path / "other", root, release.id, content="two")
    with pytest.raises(files.ModuleError, match="has other files"):
        install(root, other)


def test_a_release_works_only_where_it_was_built_for(tmp_path: Path, release: Release) -> None:
    with pytest.raises(files.ModuleError, match=r"works in .* only"):
        install(tmp_path / "elsewhere", release)


def test_an_installed_release_needs_no_file_and_another_one_does(
    root: Path, release: Release
) -> None:
    release.bring(root)
    install(root, release)
    assert install(root, release, id="2.0-b").answer is True
    release.id = "3.0-c"
    with pytest.raises(files.ModuleError, match=r"the given file describes 1\.0-a"):
        install(root, release)


def test_a_rehearsal_tells_the_same_and_writes_nothing(root: Path, release: Release) -> None:
    rehearsed = install(root, release, check=True)
    rehearsed.activate(release.id)
    rehearsed.prune(3)
    assert not root.exists()
    release.bring(root)
    done = install(root, release)
    done.activate(release.id)
    done.prune(3)
    assert rehearsed.changes == done.changes
    assert done.changes == [
        f"+{root}/releases/{release.id} installed",
        f"+current -> releases/{release.id}",
    ]
