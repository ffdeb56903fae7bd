"""The command `workflow-backend`."""

import argparse
import errno
import os
import sqlite3
import sys
import traceback
from pathlib import Path

from .. import __version__, logs
from ..errors import WorkflowError
from . import clients, operations, recovery, release, services


def main() -> None:
    """Run one command and exit: 0 when it did what was asked, 1 when not, 2 on a wrong call."""
    code = 1
    try:
        code = _run()
        if sys.stdout is not None:
            sys.stdout.flush()
    except* BrokenPipeError:
        _leave_output()  # the reader has closed the pipe, as `head` does
    except* KeyboardInterrupt:
        code = 130
    except* Exception as group:
        code = 1
        for error in _leaves(group):
            _complain(error)
    sys.exit(code)


def _run() -> int:
    try:
        arguments = _parser(next(iter(sys.argv[1:]), None)).parse_args()
    except SystemExit as ended:  # argparse has printed the help, or what is wrong
        return int(ended.code or 0)
    code: int = arguments.run(arguments)
    return code


def _leave_output() -> None:
    """Drop what could not be written: Python would try again when it ends, and complain."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leaves(group: BaseExceptionGroup[Exception]) -> list[Exception]:
    found: list[Exception] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found


def _complain(error: Exception) -> None:
    """Print why the command ends; a service's log has the traceback of a fault of ours too."""
    if isinstance(error, WorkflowError):
        logs.complain(error.explain())
    elif isinstance(error, (OSError, sqlite3.Error)):
        logs.complain(_of_the_machine(error))
        _leave_output()
    else:
        *_, last = traceback.extract_tb(error.__traceback__)
        where = f"{Path(last.filename).name}, line {last.lineno}"
        fault = f"{type(error).__name__}: {error} ({where})"
        logs.complain(f"this is a fault of this program, please report it: {fault}", error)


_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS}


def _of_the_machine(error: OSError | sqlite3.Error) -> str:
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, sqlite3.Error) or error.errno in _DISK:
        return f"{reason} (is there room on the disk, and may this account write there?)"
    return reason


def _parser(called: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="workflow-backend", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    services.add(commands)
    clients.add(commands)
    operations.add(commands)
    recovery.add(commands, called)
    release.add(commands)
    return parser
