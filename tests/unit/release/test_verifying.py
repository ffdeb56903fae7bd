"""A release that is not as it was installed is named, and never becomes the current one."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .small import Release, files, store


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The folder of releases of a host that has two, the second current."""
    root = tmp_path / "opt" / "workflow-backend"
    for name in ("1.0-a", "2.0-b"):
        release = Release(tmp_path, root, name)
        there = release.bring(root)
        made = store.Store(root, False)
        made.install(name, release.description, there, True)
        made.activate(name)
    return root


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "an environment's code": (
        lambda home: write(home / "node/bin/python", "#!/bin/sh\necho evil\n"),
        "node/bin/python was changed",
    ),
    "a file more": (
        lambda home: write(home / "node/lib/site-packages/sitecustomize.py", "evil"),
        "node/lib was added",
    ),
    "a file less": (
        lambda home: (home / "contracts/first.s.py").unlink(),
        "contracts/first.s.py is missing",
    ),
    "a link": (
        lambda home: link(home / "contracts/link.s.py", "/etc/passwd"),
        "contracts/link.s.py was changed",
    ),
    "a link for a file": (
        lambda home: link(home / "bin/cometbft", "../node/bin/python"),
        "bin/cometbft was changed",
    ),
    "a pipe": (lambda home: os.mkfifo(home / "bin/pipe"), "bin/pipe was added"),
    "a program that is none any more": (
        lambda home: (home / "bin/cometbft").chmod(0o644),
        "bin/cometbft was changed",
    ),
    "a file that others may write": (
        lambda home: (home / "bin/cometbft").chmod(0o757),
        "bin/cometbft can be changed by others",
    ),
    "the list": (
        lambda home: write(home / store.LISTING, "{}"),
        f"{store.LISTING} was changed",
    ),
    "no list": (lambda home: (home / store.LISTING).unlink(), f"{store.LISTING} is missing"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_is_named_and_is_never_started_from(host: Path, name: str) -> None:
    change, message = CHANGES[name]
    store.Store(host, False).verify("1.0-a")
    store.Store(host, False).verify("2.0-b")
    change(host / "releases" / "1.0-a")
    with pytest.raises(files.ModuleError, match=message):
        store.Store(host, False).verify("1.0-a")
    for back in (False, True):
        with pytest.raises(files.ModuleError, match=message):
            store.Store(host, False).activate("1.0-a", back=back)
    assert (host / "current").readlink() == Path("releases/2.0-b")


def test_without_a_name_the_current_one_is_compared(host: Path) -> None:
    store.Store(host, False).verify("")
    write(host / "current/node/bin/python", "evil")
    with pytest.raises(files.ModuleError, match=r"2\.0-b are not as they were installed"):
        store.Store(host, False).verify("")


def test_a_release_from_before_there_were_such_lists_is_held_to_its_manifest(host: Path) -> None:
    home = host / "releases" / "1.0-a"
    mark = json.loads((home / store.MARK).read_text())
    del mark["installed_sha256"]
    write(home / store.MARK, json.dumps(mark))
    store.Store(host, False).verify("1.0-a")
    write(home / "contracts/first.s.py", "another")
    with pytest.raises(files.ModuleError, match=r"contracts/first\.s\.py was changed"):
        store.Store(host, False).verify("1.0-a")


def test_a_rehearsal_of_a_first_deployment_has_nothing_to_compare(tmp_path: Path) -> None:
    root = tmp_path / "opt" / "workflow-backend"
    release = Release(tmp_path, root)
    rehearsed = store.Store(root, True)
    rehearsed.install(release.id, release.description, root / release.archive.name, False)
    rehearsed.verify(release.id)
    with pytest.raises(files.ModuleError, match="not installed"):
        store.Store(root, True).verify("")
