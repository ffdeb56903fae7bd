"""Starts CometBFT once the app listens: asked too early, it would sleep three seconds at a time.

    python -m workflow_backend_node.comet COMETBFT HOME
"""

import os
import sys
import time
from pathlib import Path

from workflow_backend_node.asking import Refused, refuse
from workflow_backend_node.toml import read_toml

APP_SECONDS = 300.0
LISTENING = 0x10000  # __SO_ACCEPTCON in the flags of /proc/net/unix


def main() -> int:
    """Become CometBFT, or say why not."""
    try:
        cometbft, home = _arguments(sys.argv[1:])
        socket = read_toml(home / "config" / "config.toml")["proxy_app"].removeprefix("unix://")
        _wait(socket)
        os.execv(cometbft, [str(cometbft), "start", "--home", str(home)])  # noqa: S606
    except (Refused, OSError) as error:
        return refuse(f"CometBFT does not start: {error}")


def _arguments(arguments: list[str]) -> tuple[Path, Path]:
    if len(arguments) != 2:
        raise Refused("usage: python -m workflow_backend_node.comet COMETBFT HOME")
    return Path(arguments[0]), Path(arguments[1])


def _wait(socket: str) -> None:
    deadline = time.monotonic() + APP_SECONDS
    while not listening(socket, Path("/proc/self/net/unix").read_text(encoding="utf-8")):
        if time.monotonic() > deadline:
            raise Refused(f"the app has not listened on {socket} within {APP_SECONDS:.0f} s: see its log")
        time.sleep(0.05)


def listening(socket: str, table: str) -> bool:
    """Whether a process listens on the unix socket, by the kernel's table of them.

    To connect would be no question but a fault: the app stops when a connection closes. And a socket's file
    outlives the process that made it.
    """
    for line in table.splitlines()[1:]:
        columns = line.split(maxsplit=7)  # Num RefCount Protocol Flags Type St Inode Path
        if len(columns) == 8 and columns[7] == socket and int(columns[3], 16) & LISTENING:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
