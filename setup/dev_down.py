"""Stop the development stack and remove what `make dev` made, its data too.

It works on a stack that is whole, half made or gone. The tools in `.venv` and `.cache` stay.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import owner
from clean import running_from
from places import Places, places
from steps import SetupError, environment, fail, say

REPO = Path(__file__).resolve().parent.parent

# PostgreSQL, the app and CometBFT have 60 s each to end in order.
_STOP_SECONDS = 200.0
_KILL_SECONDS = 10.0


def main() -> int:
    """Stop and remove; return the exit code."""
    where = places(REPO)
    try:
        take_down(where)
    except SetupError as error:
        return fail(error)
    except OSError as error:
        return fail(SetupError(f"{error.filename}: {error.strerror}", "fix that and run again"))
    return 0


def take_down(where: Places) -> None:
    """Say what goes and what stays, then do it."""
    owner.refuse_other(where)
    folders = dict.fromkeys((where.data, where.run, where.dev))  # for all but root, data is dev
    there = [
        folder
        for folder in folders
        if folder.exists() and not any(outer in folder.parents for outer in folders)
    ]
    for folder in there:
        say(f"{folder} will be removed: {_contents(where, folder)}")
    _stop(where)
    for folder in there:
        shutil.rmtree(folder)
    where.owner.unlink(missing_ok=True)  # last: until all is gone, the rest is still its own
    if where.for_root:
        _remove_shared(where)
    tools = [str(folder) for folder in (where.venv, where.cache) if folder.exists()]
    verb = "stays" if len(tools) == 1 else "stay"
    stay = f" {' and '.join(tools)} {verb}." if tools else ""
    say(f"{'Removed' if there else 'Nothing to remove'}.{stay}")


def _contents(where: Places, folder: Path) -> str:
    if folder == where.run:
        return "the programs' sockets"
    data = "the chain, the index, the projection and logs"
    if where.for_root:
        return data if folder == where.data else "keys, genesis and settings"
    return f"keys, genesis, settings, {data}"


def _stop(where: Places) -> None:
    """Let the supervisor stop its programs in their order; end what it left behind."""
    supervisor = _supervisor(where)
    if supervisor is not None:
        say(f"Stopping the programs (supervisord is process {supervisor})")
        _end(supervisor, signal.SIGTERM)
        if not _wait_gone([supervisor], _STOP_SECONDS):
            say(f"supervisord does not end in {_STOP_SECONDS:.0f} s: killing it")
            _end(supervisor, signal.SIGKILL)
            _wait_gone([supervisor], _KILL_SECONDS)
    left = _stack(where)
    for process in left:
        say(f"Ending process {process}, left behind by its supervisor")
        _end(process, signal.SIGKILL)
    if not _wait_gone(left, _KILL_SECONDS):
        raise SetupError(f"processes {left} do not end", "see them with ps, and run again")


def _supervisor(where: Places) -> int | None:
    try:
        process = int((where.run / "supervisord.pid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return process if process in _stack(where) else None


def _stack(where: Places) -> list[int]:
    """The programs of this stack: started from its tools, and working in its data."""
    return [
        process
        for process in running_from(where.runtime)
        if where.data in (folder := _directory(process)).parents or folder == where.data
    ]


def _directory(process: int) -> Path:
    try:
        # The kernel marks a folder that was removed below a process.
        return Path(str(Path(f"/proc/{process}/cwd").readlink()).removesuffix(" (deleted)"))
    except OSError:  # it has just ended
        return Path()


def _remove_shared(where: Places) -> None:
    """Remove root's runtime and account, unless another clone's tests are running with them."""
    users = running_from(where.runtime)
    if users:
        say(f"{where.runtime} and the account {where.account} stay: processes {users} use them")
        return
    home = where.runtime.parent
    if home.exists():
        shutil.rmtree(home)
        say(f"{home} removed: the programs that run for ever")
    _remove_account(where)


def _end(process: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
        os.kill(process, number)


def _wait_gone(processes: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{process}/exe").exists() for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _remove_account(where: Places) -> None:
    try:
        pwd.getpwnam(where.account)
    except KeyError:
        return
    done = subprocess.run(
        ["userdel", where.account], capture_output=True, text=True, env=environment(), check=False
    )
    if done.returncode != 0:
        raise SetupError(
            f"the account {where.account} can't be removed ({done.stderr.strip()})",
            "end its processes, then: make dev-down",
        )
    say(f"Account {where.account} removed")


if __name__ == "__main__":
    sys.exit(main())
