"""The Python environments and our own distributions in them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from cpython import Python
from places import Places
from steps import file_digest, is_made, mark_made, remove, step, tree_digest, unmark
from uv import Uv

_OWN = ".own-distributions.json"


@dataclass(frozen=True)
class Distribution:
    """One of our own distributions: its folder in the clone and what a build of it reads."""

    name: str
    folder: str
    package: str
    files: tuple[str, ...]

    def digest(self, repo: Path) -> str:
        """SHA-256 over the sources that an installed copy is made from."""
        return tree_digest(repo / self.folder, [self.package], self.files)


SERVICES = Distribution(
    "workflow-backend", ".", "services/workflow_backend", ("LICENSE", "pyproject.toml")
)
NODE = Distribution(
    "workflow-backend-node", "services/node", "workflow_backend_node", ("pyproject.toml",)
)


def make(where: Places, uv: Uv, control: Python, runtime: Python) -> dict[str, str]:
    """Make every environment; return the digest of the sources installed in each by its name."""
    _environment(where, uv, "control", where.venv, control)
    for name in ("services", "node", "supervisor"):
        _environment(where, uv, name, where.runtime / name, runtime)
    _postgres(where, uv, runtime)
    _install_editable(where, uv)
    return {
        "services": _install(where, uv, SERVICES, where.runtime / "services"),
        "node": _install(where, uv, NODE, where.runtime / "node"),
    }


def _environment(where: Places, uv: Uv, name: str, folder: Path, python: Python) -> None:
    requirements = where.requirements / f"{name}.txt"
    made_from = {"requirements": file_digest(requirements), "python": python.made_from}
    if is_made(folder, made_from):
        return
    with step(f"Environment {name}"):
        unmark(folder)
        uv(
            *("venv", "--quiet", "--clear", "--no-project", "--python", python.executable, folder),
            what=f"the environment {name} can't be made",
            log=f"environment-{name}",
        )
        uv(
            *("pip", "install", "--quiet", "--python", folder / "bin" / "python"),
            *("--require-hashes", "--no-build", "--no-deps", "-r", requirements),
            # Each start is quicker, and the unprivileged account can't compile for itself.
            "--compile-bytecode",
            what=f"the environment {name} can't be filled",
            log=f"environment-{name}",
        )
    mark_made(folder, made_from)


def _postgres(where: Places, uv: Uv, python: Python) -> None:
    """Unpack PostgreSQL: its programs need the libraries that lie beside them in the wheel."""
    requirements = where.requirements / "postgres.txt"
    folder = where.runtime / "postgres"
    made_from = {"requirements": file_digest(requirements)}
    if is_made(folder, made_from):
        return
    with step("PostgreSQL"):
        fresh = folder.with_name("postgres.new")
        remove(fresh)
        uv(
            *("pip", "install", "--quiet", "--target", fresh, "--python", python.executable),
            *("--require-hashes", "--no-build", "--no-deps", "-r", requirements),
            what="PostgreSQL can't be unpacked",
            log="postgres",
        )
        remove(folder)
        fresh.rename(folder)
    mark_made(folder, made_from)


def _install_editable(where: Places, uv: Uv) -> None:
    projects = [where.repo, where.repo / NODE.folder]
    made_from = {str(project): file_digest(project / "pyproject.toml") for project in projects}
    if is_made(where.venv, made_from, _OWN):
        return
    with step("workflow-backend and workflow-backend-node linked into .venv"):
        uv(
            *("pip", "install", "--quiet", "--python", where.venv / "bin" / "python"),
            "--no-deps",
            *(part for project in projects for part in ("--editable", project)),
            what="the packages of this clone can't be linked into .venv",
            log="editable",
        )
    mark_made(where.venv, made_from, _OWN)


def _install(where: Places, uv: Uv, distribution: Distribution, folder: Path) -> str:
    digest = distribution.digest(where.repo)
    made_from = {"sources": digest}
    if is_made(folder, made_from, _OWN):
        return digest
    name = distribution.name
    with step(f"{name} installed"), tempfile.TemporaryDirectory() as wheels:
        unmark(folder, _OWN)
        uv(
            *("build", "--quiet", "--wheel", "--out-dir", wheels),
            *("--python", folder / "bin" / "python"),
            where.repo / distribution.folder,
            what=f"{name} can't be built",
            log=name,
        )
        uv(
            *("pip", "install", "--quiet", "--python", folder / "bin" / "python"),
            *("--no-deps", "--reinstall", "--compile-bytecode"),
            *Path(wheels).glob("*.whl"),
            what=f"{name} can't be installed",
            log=name,
        )
    mark_made(folder, made_from, _OWN)
    return digest
