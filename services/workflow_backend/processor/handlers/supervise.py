"""The program that every program of a handler runs under: `supervise.py PARENT PROGRAM [WORD...]`.

When PROGRAM ends, everything that it started and left behind is killed, even a daemon in a session
of its own: as a subreaper, this process is given each orphan by the kernel. The same happens on
SIGTERM, and when PARENT, the process that started this one, is gone. This process ends last and in
the way of PROGRAM: with its exit code or by its signal, or with 127 if it can't be started.

There is one beside each program, so it imports little: it starts in 15 ms and takes 4 MB.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_NOT_STARTED = 127
_AWAITED = {signal.SIGTERM, signal.SIGCHLD}


def main() -> None:
    """Run the program and end as it ended."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    _set(_PR_SET_PDEATHSIG, signal.SIGTERM)
    _set(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        sys.exit(_NOT_STARTED)  # the parent ended before its end could be watched
    program = os.fork()
    if program == 0:
        _become(command)
    # The program's pipes are its own: who holds their other ends sees it close them.
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    status = _wait(program)
    _kill_all()
    _end_as(status)


def _become(command: list[str]) -> None:
    os.setsid()
    _set(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by this interpreter
        signal.signal(ignored, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
    try:
        os.execvp(command[0], command)  # noqa: S606 - a list of words from the handlers' file
    except OSError as error:
        os.write(2, f"{command[0]} can't be started: {error.strerror}\n".encode())
    os._exit(_NOT_STARTED)


def _wait(program: int) -> int | None:
    """Wait for the program's end and return its status; None where a SIGTERM came first."""
    stopped = False
    while not stopped:
        stopped = signal.sigwait(_AWAITED) == signal.SIGTERM
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if ended[0] == program:
                return ended[1]
    return None


def _kill_all() -> None:
    """Kill all children until none is left; the children of killed ones become ours.

    All at once: a look at every process takes milliseconds, and there may be hundreds of children.
    """
    while killed := [child for child in _children() if _kill(child)]:
        for child in killed:
            os.waitpid(child, 0)


def _kill(child: int) -> bool:
    try:
        os.kill(child, signal.SIGKILL)
    except PermissionError:  # it runs as another account now
        return False
    return True


def _children() -> list[int]:
    me = str(os.getpid())
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208 - pathlib is large
        try:
            with open(f"/proc/{name}/stat", errors="replace") as file:  # noqa: PTH123
                # pid (name) state parent ..., where the name may hold anything
                parent = file.read().rpartition(")")[2].split()[1]
        except OSError, IndexError:
            continue  # it has ended
        if parent == me:
            found.append(int(name))
    return found


def _end_as(status: int | None) -> None:
    code = os.waitstatus_to_exitcode(status) if status is not None else -signal.SIGTERM
    if code < 0:
        _set(_PR_SET_DUMPABLE, 0)  # the program has left a core already, where it may
        if code not in {-signal.SIGKILL, -signal.SIGSTOP}:
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.Signals(-code)})
        os.kill(os.getpid(), -code)
    os._exit(code)


def _set(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        sys.exit(f"prctl {option}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main()
