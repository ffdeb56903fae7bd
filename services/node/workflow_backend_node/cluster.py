"""Makes the PostgreSQL cluster of the node's index and its database, and keeps its configuration.

The cluster is made beside its place and renamed, so it is there whole or not at all. Of one that is
there only `postgresql.conf` is ever written. The account that runs this owns the cluster and may
log in, by its name, over the unix socket; nobody else may.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from workflow_backend_node.asking import Object, Refused, difference, parse, run, write_private

INITDB = (
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--data-checksums",
    "--auth-local=peer",
    "--auth-host=reject",
)


@dataclass(frozen=True)
class Wanted:
    """A cluster; `programs` holds initdb and postgres, `configuration` is postgresql.conf."""

    directory: str
    programs: str
    database: str
    configuration: str


def bring(request: Object, check: bool) -> Object:
    """Make or configure the cluster; answer with what changed.

    Raises `Refused` when PostgreSQL refuses, with its reason.
    """
    wanted = parse(Wanted, request, "cluster")
    directory = Path(wanted.directory)
    configuration = directory / "postgresql.conf"
    before = configuration.read_text(encoding="utf-8") if directory.exists() else ""
    changed = [str(directory)] if not directory.exists() else []
    if before != wanted.configuration:
        changed.append(str(configuration))
    if changed and not check:
        if directory.exists():
            _verify(wanted, directory)
            write_private(configuration, wanted.configuration)
        else:
            _make(wanted, directory)
    return {
        "changed": changed,
        "diff": difference(configuration, before, wanted.configuration),
    }


def _make(wanted: Wanted, directory: Path) -> None:
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))  # 0700
    try:
        _run(wanted, "initdb", f"--pgdata={beside}", *INITDB)
        _run(
            wanted,
            *("postgres", "--single", "-D", str(beside), "postgres"),
            given=f'CREATE DATABASE "{wanted.database}"\n',
        )
        _verify(wanted, beside)
        write_private(beside / "postgresql.conf", wanted.configuration)
        beside.rename(directory)
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # gone already when all went well


def _verify(wanted: Wanted, directory: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(wanted.configuration)
        file.flush()
        _run(
            wanted, "postgres", "-C", "port", "-D", str(directory), "-c", f"config_file={file.name}"
        )


def _run(wanted: Wanted, program: str, *arguments: str, given: str = "") -> None:
    command = [str(Path(wanted.programs) / program), *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(f"{program} refuses: {done.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(run(bring))
