"""Launches the PostgreSQL of the node's index and reports its state to the service manager.

    python -m workflow_backend_node.database PROGRAMS DATA

PROGRAMS is the folder of postgres and pg_isready, DATA that of the cluster.

A signal to stop leads to a fast shutdown: clients are disconnected, uncommitted work is undone, and
the cluster is closed in order. PostgreSQL is never killed from here. When this program dies, the
kernel asks PostgreSQL for a fast shutdown too. A new one that starts before the old one has ended
finds its lock and ends, and the service manager starts it again.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from workflow_backend_node import child_process, logs
from workflow_backend_node.notify import Manager
from workflow_backend_node.requests import Refused

POLL_SECONDS = 0.1
ANSWER_SECONDS = 3
# A start may take as long as a recovery goes on: each sign of it gives the start this time more.
RECOVERY_SECONDS = 60
ASKS_FOR = {
    signal.SIGTERM: signal.SIGINT,
    signal.SIGINT: signal.SIGINT,
    signal.SIGQUIT: signal.SIGQUIT,
    signal.SIGHUP: signal.SIGHUP,
}
ACCEPTS = "accepts connections"
RECOVERS = "starts or recovers, and takes no connections yet"


def main() -> int:
    """Run PostgreSQL and give its exit status, or say why it does not start."""
    manager = Manager()
    logs.begin("postgres")
    try:
        programs, data = _arguments(sys.argv[1:])
        return _run(manager, programs, data)
    except (Refused, OSError) as error:
        logs.say("error", f"PostgreSQL does not start: {error}")
        return 1


def _arguments(arguments: list[str]) -> tuple[Path, Path]:
    if len(arguments) != 2:
        raise Refused("usage: python -m workflow_backend_node.database PROGRAMS DATA")
    programs, data = Path(arguments[0]), Path(arguments[1])
    if not os.access(programs / "postgres", os.X_OK):
        raise Refused(f"{programs / 'postgres'} is not a program that this account may run")
    if not (data / "PG_VERSION").is_file():
        raise Refused(f"{data} is not a cluster: the deployment makes it")
    return programs, data


def _run(manager: Manager, programs: Path, data: Path) -> int:
    postgres = child_process.start(
        [str(programs / "postgres"), "-D", str(data)], on_death=signal.SIGINT
    )
    ending = threading.Event()

    def forward(number: int, _: object) -> None:
        wish = ASKS_FOR[signal.Signals(number)]
        if wish != signal.SIGHUP:
            ending.set()
            manager.notify(STOPPING=1, STATUS="shuts down")
        postgres.send_signal(wish)

    for how in ASKS_FOR:
        signal.signal(how, forward)
    ready, beat = False, 0.0
    while True:
        try:
            return child_process.exit_status(postgres.wait(POLL_SECONDS))
        except subprocess.TimeoutExpired:
            if ending.is_set() or time.monotonic() < beat:
                continue
        state = _state(programs, data, postgres.pid)
        if ending.is_set():
            continue
        ready = _report(manager, state, ready)
        beat = time.monotonic() + (manager.beat if ready else 0)


def _report(manager: Manager, state: str | None, ready: bool) -> bool:
    """Tell the manager of PostgreSQL's state; give whether it has become ready by now."""
    if state is None:
        if ready:
            manager.notify(STATUS="does not answer")  # and no sign of life
    elif state == ACCEPTS:
        manager.notify(READY=1, WATCHDOG=1, STATUS=state)
    elif ready:
        manager.notify(WATCHDOG=1, STATUS=state)
    else:
        manager.notify(EXTEND_TIMEOUT_USEC=RECOVERY_SECONDS * 1_000_000, STATUS=state)
    return ready or state == ACCEPTS


def _state(programs: Path, data: Path, pid: int) -> str | None:
    """What PostgreSQL does with a connection now; None when it does not answer.

    The lock says whose socket it is: another PostgreSQL of the same cluster may be about to end.
    """
    try:
        lock = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    # process, folder, begin, port, folder of the socket, address, shared memory, state
    if len(lock) < 8 or lock[0] != str(pid):
        return None
    if lock[7].strip() == "starting":
        return RECOVERS
    where = ["-h", lock[4], "-p", lock[3], "-d", "postgres"]
    command = [str(programs / "pg_isready"), "-q", "-t", str(ANSWER_SECONDS), *where]
    asked = subprocess.run(command, stdin=subprocess.DEVNULL, env={}, check=False)
    return {0: ACCEPTS, 1: RECOVERS}.get(asked.returncode)


if __name__ == "__main__":
    sys.exit(main())
