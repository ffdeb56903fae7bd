"""Remove the tools that the set-up made, unless a program of theirs is running."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from places import Places, leave_own_tools, places
from steps import SetupError, fail, say

REPO = Path(__file__).resolve().parent.parent

_EXEC_SECONDS = 1.0


def main() -> int:
    """Remove `.venv`, `.cache` and the runtime; return the exit code."""
    where = places(REPO)
    try:
        clean(where)
    except SetupError as error:
        return fail(error)
    except OSError as error:
        return fail(SetupError(f"{error.filename}: {error.strerror}", "fix that and run again"))
    return 0


def clean(where: Places) -> None:
    """Remove the folders of the tools and say which; data and keys stay."""
    running = running_from(where.venv, where.runtime)
    if running:
        processes = ", ".join(map(str, running))
        raise SetupError(
            f"programs of this clone are running (process {processes})", "make dev-down"
        )
    for folder in (where.venv, where.runtime, where.cache):
        if folder.exists():
            shutil.rmtree(folder)
            say(f"{folder} removed")


def running_from(*folders: Path) -> list[int]:
    """The processes that were started from these folders, this one aside."""
    starts = tuple(os.fsencode(folder) + b"/" for folder in folders)
    running = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        # A script shows its interpreter first and itself second.
        if any(word.startswith(starts) for word in command_of(process)[:2]):
            running.append(int(process.name))
    return sorted(running)


def command_of(process: Path) -> list[bytes]:
    """The words of a process's command; none where it has ended or is another account's.

    In the middle of an exec the kernel shows none either, and who asks then asks again.
    """
    deadline = time.monotonic() + _EXEC_SECONDS
    while True:
        try:
            if command := (process / "cmdline").read_bytes():
                return command.split(b"\0")
            (process / "exe").readlink()  # what has ended has none, nor a thread of the kernel
        except OSError:
            return []
        if time.monotonic() > deadline:
            return []
        time.sleep(0.001)


if __name__ == "__main__":
    leave_own_tools(REPO)
    sys.exit(main())
