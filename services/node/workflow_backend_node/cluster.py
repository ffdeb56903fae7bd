"""Makes the PostgreSQL cluster and the database of the node's index, and its configuration.

A new cluster is made beside its place and renamed, so it is there completely or not at all. Of an
existing one only `postgresql.conf` is ever written. Two accounts may log in, each under its own
name and over the Unix socket only: the account that runs this, which owns the cluster, and the
database's owner.
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

from workflow_backend_node.locks import folder_lock
from workflow_backend_node.requests import Object, Refused, difference, parse, run, write_private

INITDB = (
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--data-checksums",
    "--auth-local=peer",
    "--auth-host=reject",
)
ERROR = re.compile(r"\b(ERROR|FATAL):")


@dataclass(frozen=True)
class ClusterRequest:
    """A cluster; `programs` holds initdb and postgres, `configuration` is postgresql.conf.

    `owner` is the account that the database of a new cluster belongs to; empty is the cluster's.
    """

    directory: str
    programs: str
    database: str
    configuration: str
    owner: str = ""


def bring(given: Object, check: bool) -> Object:
    """Make or configure the cluster; answer with what changed.

    Raises `Refused` when PostgreSQL refuses, with its reason.
    """
    request = parse(ClusterRequest, given, "cluster")
    with folder_lock(Path(request.directory).parent, check):
        return _bring(request, check)


def _bring(request: ClusterRequest, check: bool) -> Object:
    directory = Path(request.directory)
    configuration = directory / "postgresql.conf"
    before = configuration.read_text(encoding="utf-8") if directory.exists() else ""
    changed = [str(directory)] if not directory.exists() else []
    if before != request.configuration:
        changed.append(str(configuration))
    if changed and not check:
        if directory.exists():
            _verify(request, directory)
            write_private(configuration, request.configuration)
        else:
            _make(request, directory)
    return {
        "changed": changed,
        "diff": difference(configuration, before, request.configuration),
    }


def _make(request: ClusterRequest, directory: Path) -> None:
    beside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))  # 0700
    try:
        _run(request, "initdb", f"--pgdata={beside}", *INITDB)
        _run(
            request,
            *("postgres", "--single", "-D", str(beside), "postgres"),
            given=_contents(request),
        )
        _verify(request, beside)
        write_private(beside / "postgresql.conf", request.configuration)
        beside.rename(directory)
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # gone already when all went well


def _contents(request: ClusterRequest) -> str:
    """What makes the database, a statement a line."""
    account = pwd.getpwuid(os.geteuid()).pw_name  # initdb gave the superuser this name
    owner = request.owner or account
    role = "" if owner == account else f"CREATE ROLE {_quoted(owner)} LOGIN\n"
    return f"{role}CREATE DATABASE {_quoted(request.database)} OWNER {_quoted(owner)}\n"


def _quoted(name: str) -> str:
    if '"' in name or not name.isprintable():
        raise Refused(f"cluster: {name!r} is not a name of an account or a database")
    return f'"{name}"'


def _verify(request: ClusterRequest, directory: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(request.configuration)
        file.flush()
        _run(
            request,
            "postgres",
            "-C",
            "port",
            "-D",
            str(directory),
            "-c",
            f"config_file={file.name}",
        )


def _run(request: ClusterRequest, program: str, *arguments: str, given: str = "") -> None:
    command = [str(Path(request.programs) / program), *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    # Alone with its cluster, postgres goes on after a statement that failed.
    if done.returncode != 0 or ERROR.search(done.stderr):
        raise Refused(f"{program} refuses: {done.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(run(bring))
