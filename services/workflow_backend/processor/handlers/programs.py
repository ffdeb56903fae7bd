"""Programs that handlers start: a group of their own, a clean environment, an end for certain."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from typing import cast

_MANAGERS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID")


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a handler may see: nothing of the backend's own settings."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("XIAN_") and name not in _MANAGERS
    }


class Program:
    """A running program. `errors` is its standard error, None where that is our own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.input = cast("asyncio.StreamWriter", process.stdin)
        self.output = cast("asyncio.StreamReader", process.stdout)
        self.errors = process.stderr

    async def wait(self) -> int:
        """Wait for its end; return the exit code, or the negative number of the signal."""
        return await self._process.wait()

    async def end(self) -> int:
        """Kill it and all of its group, and wait for its end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return await self.wait()


async def start(command: Sequence[str], limit: int, *, own_errors: bool) -> Program:
    """Start a program in a session of its own; raises OSError where it can't be started.

    `limit` is the longest line of output, in bytes, that can be read. With `own_errors` it has a
    standard error of its own, else ours.
    """
    process = await asyncio.create_subprocess_exec(
        *_ends_with_us(),
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if own_errors else None,
        env=clean_environment(os.environ),
        start_new_session=True,
        limit=limit,
    )
    return Program(process)


def _ends_with_us() -> list[str]:
    """Words before a command: should this process be killed, the kernel ends the program too."""
    if "NOTIFY_SOCKET" in os.environ:
        return []  # systemd ends whatever the unit has started, and forbids it what setpriv does
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


async def tail(stream: asyncio.StreamReader | None, limit: int) -> str:
    """Read a stream to its end and return its last bytes as text."""
    last = b""
    if stream is None:
        return ""
    while chunk := await stream.read(65536):
        last = (last + chunk)[-limit:]
    return last.decode(errors="replace")
