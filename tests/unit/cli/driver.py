"""Runs commands as a shell would, a fork for each: one JSON object a line in, one out.

In: `argv`, and `stdin`. Out: the exit `code` and what was written to `err`; -1 is a command that
had not ended by itself after a while.
"""

import contextlib
import json
import os
import signal
import sys
import tempfile
from importlib import import_module
from typing import Any

from workflow_backend.cli import main

# What the commands import when they run is imported once.
for name in (
    *(
        "api.service",
        "api.tokens",
        "chain.event_stream",
        "operations.bootstrap",
        "operations.health",
    ),
    *("operations.operator", "operations.preflight", "operations.recovery.actions"),
    *("operations.release.build", "operations.smoke", "operations.snapshots.actions"),
    *("operations.status", "operations.upgrades.actions", "operations.wallets"),
    *("processor.handlers.server", "processor.service", "projection.rebuild"),
    *("projection.service", "projection.verify"),
):
    import_module(f"workflow_backend.{name}")

SECONDS = 20


def run(argv: list[str], stdin: str) -> dict[str, Any]:
    """Run one command to its end."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as err:
        given.write(os.fsencode(stdin))
        given.seek(0)
        pid = os.fork()
        if pid == 0:
            _become(argv, given.fileno(), err.fileno())
        _, status = os.waitpid(pid, 0)
        err.seek(0)
        printed = err.read().decode(errors="backslashreplace")
        code = -1 if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)
        return {"code": code, "err": printed}


def _become(argv: list[str], given: int, err: int) -> None:
    signal.alarm(SECONDS)
    nothing = os.open(os.devnull, os.O_WRONLY)
    for there, target in ((given, 0), (nothing, 1), (err, 2)):
        os.dup2(there, target)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 -- the last driver's is read already
    sys.argv = ["workflow-backend", *argv]
    code = 70
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 71
    except BaseException:  # what Python would print is what is looked for
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    for line in sys.stdin:
        case = json.loads(line)
        print(json.dumps(run(case["argv"], case["stdin"])), flush=True)
