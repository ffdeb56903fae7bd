"""uv, in an environment of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from places import Places
from steps import (
    SetupError,
    file_digest,
    install_command,
    is_made,
    mark_made,
    remove,
    run,
    step,
)


class Uv:
    """The uv program with the settings that every call of ours shares."""

    def __init__(self, where: Places, program: Path) -> None:
        self.program = program
        # What runs for ever is a copy, never a link into a cache that its user may clear.
        self._extra = {
            "UV_LINK_MODE": "copy",
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
        }
        if "UV_CACHE_DIR" not in os.environ and not _home_is_writable():
            self._extra["UV_CACHE_DIR"] = str(where.cache / "uv-cache")
        self._where = where

    def __call__(self, *arguments: str | Path, what: str, log: str, **extra: str) -> str:
        """Run uv with `arguments`; `what` names the action in an error."""
        return run(
            [self.program, *arguments],
            what=what,
            log=self._where.log(log),
            extra={**self._extra, **extra},
        )

    def install_tool(self, name: str, python: Path | None = None) -> Path:
        """Unpack the locked packages of requirements/`name`.txt into a folder and return it."""
        requirements = self._where.requirements / f"{name}.txt"
        folder = self._where.cache / "tools" / name
        made_from = {"requirements": file_digest(requirements)}
        if is_made(folder, made_from):
            return folder
        with step(f"{name}: unpacked from its wheel"):
            remove(folder)
            self(
                *("pip", "install", "--target", folder, "--python", python or sys.executable),
                *("--require-hashes", "--no-build", "--no-deps", "-r", requirements),
                what=f"{name} can't be installed",
                log=name,
            )
        mark_made(folder, made_from)
        return folder

    def remove_tool(self, name: str) -> None:
        """Remove what `install_tool` unpacked, if it is there."""
        remove(self._where.cache / "tools" / name)


def make(where: Places) -> Uv:
    """Install the locked uv where it is missing or another one."""
    folder = where.cache / "uv"
    requirements = where.requirements / "uv.txt"
    made_from = {"requirements": file_digest(requirements)}
    program = folder / "bin" / "uv"
    if not is_made(folder, made_from):
        with step("uv"):
            remove(folder)
            _make_environment(where, folder)
            run(
                [
                    *(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-input"),
                    *("--require-hashes", "--only-binary", ":all:", "--no-deps"),
                    *("-r", requirements),
                ],
                what="uv can't be installed",
                log=where.log("uv"),
            )
        mark_made(folder, made_from)
    return Uv(where, program)


def _make_environment(where: Places, folder: Path) -> None:
    try:
        import ensurepip  # noqa: F401, PLC0415 -- Debian keeps it in a package of its own
        import venv  # noqa: F401, PLC0415
    except ImportError as error:
        # An environment's Python may lack what the system's has.
        active = sys.prefix != sys.base_prefix
        raise SetupError(
            f"{sys.executable} can't make environments",
            "leave its environment (deactivate), then run the same command again"
            if active
            else install_command("python3-venv"),
        ) from error
    run(
        [sys.executable, "-m", "venv", folder],
        what="the environment of uv can't be made",
        log=where.log("venv"),
    )


def _home_is_writable() -> bool:
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 -- Path.home() raises where there is none
    cache = Path(os.environ.get("XDG_CACHE_HOME", home / ".cache"))
    return os.access(cache if cache.exists() else home, os.W_OK)
