"""The Python environments and our own distributions in them."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cpython import Python
from places import Places
from steps import STAMP, file_digest, is_made, mark_made, remove, step, tree_digest, unmark
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
CLIENT = Distribution(
    "workflow-backend-client",
    "services/client",
    "workflow_backend_client",
    ("README.md", "pyproject.toml"),
)

ENVIRONMENTS = {"node": (NODE,), "services": (CLIENT, SERVICES)}
"""Each environment of a host, and which of our own distributions are in it."""


def make(where: Places, uv: Uv, control: Python, runtime: Python) -> None:
    """Make every environment, and install in each what of ours belongs there."""
    _environment(where, uv, "control", where.venv, control)
    for name in ("services", "node", "supervisor"):
        _environment(where, uv, name, where.runtime / name, runtime)
    _postgres(where, uv, runtime)
    _install_editable(where, uv)
    for name, distributions in ENVIRONMENTS.items():
        _install(where, uv, distributions, where.runtime / name)


def close_locks(where: Places) -> None:
    """Let nobody else write the lock files that uv leaves: it makes them for every account."""
    folders = (where.venv, *where.runtime.iterdir(), *(where.cache / "tools").glob("*"))
    for lock in (folder / ".lock" for folder in folders):
        if lock.exists():
            lock.chmod(0o644)


def builds(where: Places) -> dict[str, str]:
    """Digest of all that each kind of program runs from, once everything is made.

    That is our sources, the locked requirements, the interpreter and the programs of others: a
    program that was started from another build has to be started anew.
    """
    services, node = where.runtime / "services", where.runtime / "node"
    of_node = (node / STAMP, node / _OWN)
    made_from = {
        "services": (services / STAMP, services / _OWN),
        "node": (*of_node, where.runtime / "bin" / STAMP),
        "postgres": (*of_node, where.runtime / "postgres" / STAMP),
        "supervisor": (where.runtime / "supervisor" / STAMP,),
    }
    return {
        name: hashlib.sha256("".join(map(file_digest, stamps)).encode()).hexdigest()
        for name, stamps in made_from.items()
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
    projects = [where.repo / own.folder for own in (SERVICES, NODE, CLIENT)]
    made_from = {str(project): file_digest(project / "pyproject.toml") for project in projects}
    if is_made(where.venv, made_from, _OWN):
        return
    with step("The packages of this clone linked into .venv"):
        uv(
            *("pip", "install", "--quiet", "--python", where.venv / "bin" / "python"),
            "--no-deps",
            *(part for project in projects for part in ("--editable", project)),
            what="the packages of this clone can't be linked into .venv",
            log="editable",
        )
    mark_made(where.venv, made_from, _OWN)


def _install(where: Places, uv: Uv, distributions: Sequence[Distribution], folder: Path) -> None:
    made_from = {own.name: own.digest(where.repo) for own in distributions}
    if is_made(folder, made_from, _OWN):
        return
    names = " and ".join(made_from)
    with step(f"{names} installed"), tempfile.TemporaryDirectory() as wheels:
        unmark(folder, _OWN)
        for own in distributions:
            uv(
                *("build", "--quiet", "--wheel", "--out-dir", wheels),
                *("--python", folder / "bin" / "python"),
                where.repo / own.folder,
                what=f"{own.name} can't be built",
                log=own.name,
            )
        uv(
            *("pip", "install", "--quiet", "--python", folder / "bin" / "python"),
            *("--no-deps", "--reinstall", "--compile-bytecode"),
            *sorted(Path(wheels).glob("*.whl")),
            what=f"{names} can't be installed",
            log="own-distributions",
        )
    mark_made(folder, made_from, _OWN)
