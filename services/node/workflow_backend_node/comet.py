"""Runs CometBFT for as long as its app is there.

    python -m workflow_backend_node.comet COMETBFT HOME

CometBFT is started once the app listens: asked too early, it would sleep three seconds at a time.
It is ended when that app is gone: most often it ends by itself then, but it can also hang for ever
with a dead consensus and an RPC that still answers. Who supervises this program starts it again
either way.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from workflow_backend_node.asking import Refused, refuse
from workflow_backend_node.toml import read_toml

APP_SECONDS = 300.0
GRACE_SECONDS = 3.0  # for CometBFT to end by itself; killed, it goes on from its write-ahead log
POLL_SECONDS = 0.25
LISTENING = 0x10000  # __SO_ACCEPTCON in the flags of /proc/net/unix


def main() -> int:
    """Run CometBFT and give its exit status, or say why it does not start."""
    try:
        cometbft, home = _arguments(sys.argv[1:])
        socket = read_toml(home / "config" / "config.toml")["proxy_app"].removeprefix("unix://")
        app = _wait_for_app(socket)
        return _run([str(cometbft), "start", "--home", str(home)], socket, app)
    except (Refused, OSError) as error:
        return refuse(f"CometBFT does not start: {error}")


def _arguments(arguments: list[str]) -> tuple[Path, Path]:
    if len(arguments) != 2:
        raise Refused("usage: python -m workflow_backend_node.comet COMETBFT HOME")
    cometbft, home = Path(arguments[0]), Path(arguments[1])
    if not os.access(cometbft, os.X_OK):
        raise Refused(f"{cometbft} is no program that this account may run")
    return cometbft, home


def _wait_for_app(socket: str) -> str:
    deadline = time.monotonic() + APP_SECONDS
    while (app := listener(socket, _sockets())) is None:
        if time.monotonic() > deadline:
            raise Refused(
                f"the app has not listened on {socket} within {APP_SECONDS:.0f} s: see its log"
            )
        time.sleep(POLL_SECONDS / 5)
    return app


def _run(command: list[str], socket: str, app: str) -> int:
    # CometBFT must not outlive this program either, so the kernel kills it then.
    comet = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command])
    for how in (signal.SIGTERM, signal.SIGINT):
        signal.signal(how, lambda number, _: comet.send_signal(number))
    while listener(socket, _sockets()) == app:
        try:
            return _status(comet.wait(POLL_SECONDS))
        except subprocess.TimeoutExpired:
            continue
    try:
        return _status(comet.wait(GRACE_SECONDS))
    except subprocess.TimeoutExpired:
        print("the app is gone and CometBFT hangs: it is killed", file=sys.stderr, flush=True)
        comet.kill()
        return _status(comet.wait())


def _status(code: int) -> int:
    return code if code >= 0 else 128 - code  # as a shell tells a death by signal


def _sockets() -> str:
    return Path("/proc/self/net/unix").read_text(encoding="utf-8")


def listener(socket: str, table: str) -> str | None:
    """The inode of the socket that listens at the path, None when none does.

    `table` is the kernel's. To connect would be no question but a fault: the app stops when a
    connection closes. A socket's file outlives the process that made it, and the inode tells a new
    process from the old.
    """
    for line in table.splitlines()[1:]:
        columns = line.split(maxsplit=7)  # Num RefCount Protocol Flags Type St Inode Path
        if len(columns) == 8 and columns[7] == socket and int(columns[3], 16) & LISTENING:
            return columns[6]
    return None


if __name__ == "__main__":
    sys.exit(main())
