"""Programs that handlers start: supervised, in a clean environment, certain to end."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

_MANAGERS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID")
_SUPERVISOR = (sys.executable, "-I", "-S", str(Path(__file__).with_name("supervise.py")))

END_SECONDS = 5.0
"""How long a supervisor may take to kill what it supervises before it is killed itself."""


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a handler may see, without the backend's own settings."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("XIAN_") and name not in _MANAGERS
    }


class Program:
    """A running program and all that it starts."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.input = cast("asyncio.StreamWriter", process.stdin)
        self.output = cast("asyncio.StreamReader", process.stdout)
        self.errors = cast("asyncio.StreamReader", process.stderr)

    async def wait(self) -> int:
        """Wait until it and all that it started have ended.

        Returns the program's exit code, or the negative number of the signal that ended it.
        """
        return await self._process.wait()

    async def end(self) -> int:
        """Kill it and all that it started, and wait for their end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self.wait(), END_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return await self.wait()


async def start(command: Sequence[str], limit: int) -> Program:
    """Start a program in a session of its own; raises OSError where no program can be started.

    `limit` is the longest line of output, in bytes, that can be read.
    """
    process = await asyncio.create_subprocess_exec(
        *_SUPERVISOR,
        str(os.getpid()),
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=clean_environment(os.environ),
        start_new_session=True,
        limit=limit,
    )
    return Program(process)
