"""Releases that differ: built from a copy of this clone in which something is changed.

`python -m tests.hosts.releases FOLDER VERSION` builds one in which only the version is.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from . import REPO
from .host import Host

_PARTS = ("contracts", "services", "setup", "pyproject.toml", "README.md", "LICENSE")


def build(
    folder: Path,
    version: str,
    changes: Mapping[str, tuple[str, str]] | None = None,
    agrees_with: str = "",
) -> Path:
    """Build a release of this version, with texts in files replaced; return its description.

    It may be declared to agree on every block with another one.

    What set-up made is shared with this clone, so it takes no longer than any other build.
    """
    clone = folder / f"clone-{version}"
    clone.mkdir(parents=True)
    for name in _PARTS:
        source = REPO / name
        if source.is_dir():
            shutil.copytree(source, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, clone / name)
    for made in (".cache", ".venv"):
        (clone / made).symlink_to(REPO / made)
    project = clone / "pyproject.toml"
    content = re.sub(r'(?m)^version = "[^"]+"$', f'version = "{version}"', project.read_text())
    project.write_text(content)
    for name, (old, new) in (changes or {}).items():
        text = (clone / name).read_text()
        assert old in text, f"{name} has no {old!r}"
        (clone / name).write_text(text.replace(old, new))
    command = [str(Path(sys.executable).with_name("workflow-backend")), "release", "build"]
    command += ["--out", str(folder / "dist")]
    command += ["--consensus-compatible-with", agrees_with] if agrees_with else []
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(clone)
    return Path(json.loads(done.stdout)["description"])


def described(description: Path) -> dict[str, Any]:
    """What the build said of a release."""
    content: dict[str, Any] = json.loads(description.read_text())
    return content


def id_of(description: Path) -> str:
    """The name of a release's folder."""
    return str(described(description)["id"])


def current(hosts: Iterable[Host]) -> list[str]:
    """The release that each host has as its current one."""
    link = "readlink /opt/workflow-backend/current"
    return [host.output(link).removeprefix("releases/") for host in hosts]


def with_another_app(description: Path) -> Path:
    """Let a release say of itself that it has another app."""
    content = described(description)
    content["versions"]["xian-tech-abci"] = "9.9"
    description.write_text(json.dumps(content))
    return description


if __name__ == "__main__":
    build(Path(sys.argv[1]), sys.argv[2])
