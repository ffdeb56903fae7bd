"""The command `workflow-backend`."""

import argparse
import errno
import os
import sqlite3
import sys

from .. import __version__, logs
from ..errors import WorkflowError
from . import clients, operations, recovery, release, services


def main() -> None:
    """Run one command and exit: 0 when it did what was asked, 1 when not, 2 on a wrong call."""
    arguments = _parser().parse_args()
    try:
        sys.exit(arguments.run(arguments))
    except* BrokenPipeError:
        # Whoever read our output has gone, as `head` does: there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except* (WorkflowError, OSError, sqlite3.Error) as group:
        for error in _leaves(group):
            logs.complain(_explain(error))
        sys.exit(1)
    except* KeyboardInterrupt:
        sys.exit(130)


def _leaves(group: BaseExceptionGroup[Exception]) -> list[Exception]:
    found: list[Exception] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found


_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS}


def _explain(error: Exception) -> str:
    if isinstance(error, WorkflowError):
        return error.explain()
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, sqlite3.Error) or (isinstance(error, OSError) and error.errno in _DISK):
        return f"{said} (is there room on the disk, and may this account write there?)"
    return said


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="workflow-backend", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    services.add(commands)
    clients.add(commands)
    operations.add(commands)
    recovery.add(commands)
    release.add(commands)
    return parser
