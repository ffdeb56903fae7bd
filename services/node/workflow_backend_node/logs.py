"""Logs of the node's programs: one JSON object on each line, or plain text on a terminal."""

import atexit
import os
import subprocess
import sys
from contextlib import suppress

from workflow_backend_node import log_lines

LAST_WORDS_SECONDS = 2.0

_process: subprocess.Popen[bytes] | None = None
_program = ""


def begin(program: str) -> None:
    """Lead everything that this process and its children write through `log_lines`.

    Call it before modules are imported that write at the end: what is registered later ends first.
    """
    global _process, _program  # noqa: PLW0603 - the two streams are the process's own, too
    if os.isatty(2):
        return
    _program = program
    read, write = os.pipe()
    command = [sys.executable, "-IS", log_lines.__file__, program]
    _process = subprocess.Popen(command, stdin=read, stdout=2)
    os.close(read)
    for stream in (1, 2):
        os.dup2(write, stream)
    os.close(write)
    atexit.register(end)


def say(level: str, message: str) -> None:
    """Write an entry of the program itself."""
    line = message if _process is None else log_lines.entry(level, _program, message)
    print(line, file=sys.stderr, flush=True)


def end() -> None:
    """Wait until the last words are in the log: who runs the program may read no further."""
    if _process is None:
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    with suppress(subprocess.TimeoutExpired):  # a child that lives on may still write
        _process.wait(LAST_WORDS_SECONDS)
