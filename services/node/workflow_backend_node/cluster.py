"""Makes the PostgreSQL cluster of the node's index and its database, and keeps its configuration.

The cluster is made beside its place and renamed, so it is there whole or not at all. Of one that is
there only `postgresql.conf` is ever written. Two accounts may log in, each by its own name and over
the unix socket alone: the one that runs this, which owns the cluster, and the database's owner.
"""

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from workflow_backend_node.asking import Object, Refused, difference, parse, run, write_private
from workflow_backend_node.turns import turn

INITDB = (
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--data-checksums",
    "--auth-local=peer",
    "--auth-host=reject",
)
ERROR = re.compile(r"\b(ERROR|FATAL):")


@dataclass(frozen=True)
class Wanted:
    """A cluster; `programs` holds initdb and postgres, `configuration` is postgresql.conf.

    `owner` is the account that the database of a new cluster belongs to; empty is the cluster's.
    """

    directory: str
    programs: str
    database: str
    configuration: str
    owner: str = ""


def bring(request: Object, check: bool) -> Object:
    """Make or configure the cluster; answer with what changed.

    Raises `Refused` when PostgreSQL refuses, with its reason.
    """
    wanted = parse(Wanted, request, "cluster")
    with turn(Path(wanted.directory).parent, check):
        return _bring(wanted, check)


def _bring(wanted: Wanted, check: bool) -> Object:
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
    beside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))  # 0700
    try:
        _run(wanted, "initdb", f"--pgdata={beside}", *INITDB)
        _run(
            wanted,
            *("postgres", "--single", "-D", str(beside), "postgres"),
            given=_contents(wanted),
        )
        _verify(wanted, beside)
        write_private(beside / "postgresql.conf", wanted.configuration)
        beside.rename(directory)
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # gone already when all went well


def _contents(wanted: Wanted) -> str:
    """What makes the database, a statement a line."""
    account = pwd.getpwuid(os.geteuid()).pw_name  # initdb gave the superuser this name
    owner = wanted.owner or account
    role = "" if owner == account else f"CREATE ROLE {_quoted(owner)} LOGIN\n"
    return f"{role}CREATE DATABASE {_quoted(wanted.database)} OWNER {_quoted(owner)}\n"


def _quoted(name: str) -> str:
    if '"' in name or not name.isprintable():
        raise Refused(f"cluster: {name!r} is no name of an account or a database")
    return f'"{name}"'


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
    # Alone with its cluster, postgres goes on after a statement that failed.
    if done.returncode != 0 or ERROR.search(done.stderr):
        raise Refused(f"{program} refuses: {done.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(run(bring))
