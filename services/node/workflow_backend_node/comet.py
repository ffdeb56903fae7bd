"""Launches CometBFT and runs it for as long as its app is there.

    python -m workflow_backend_node.comet COMETBFT HOME

CometBFT is started once the app listens. Started too early, it would sleep for three seconds at a
time. It is stopped when that app is gone. Most often it stops by itself then, but it can also hang
for ever, with a dead consensus and an RPC that still answers. A full disk has the same effect, and
free space does not mend it, so CometBFT is killed once it reports that its consensus has failed.
The service manager starts this program again each time.

The manager hears that the program is ready once the RPC answers, and that it lives for as long as
the RPC answers. The RPC also answers while a block is executed, and during state sync.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from workflow_backend_node import child_process, first_start, log_lines, logs, unix_sockets
from workflow_backend_node.notify import Manager
from workflow_backend_node.requests import Refused
from workflow_backend_node.toml import read_toml

APP_SECONDS = 300.0
SERVER_SECONDS = 120.0
GRACE_SECONDS = 3.0  # for CometBFT to end by itself; killed, it goes on from its write-ahead log
POLL_SECONDS = 0.25
ANSWER_SECONDS = 3.0


def main() -> int:
    """Run CometBFT and give its exit status, or say why it does not start."""
    manager = Manager()
    logs.begin("cometbft")
    try:
        cometbft, home = _arguments(sys.argv[1:])
        configuration = read_toml(home / "config" / "config.toml")
        place = configuration["proxy_app"].removeprefix("unix://")
        manager.notify(STATUS="waits for the app")
        app = _wait_for_app(place)
        first = first_start.read(home)
        if first:
            logs.say("info", f"the first start of a recovered home: {first}")
            _wait_for_servers(first.servers)
            os.environ.update(first.environment)
        return _run(
            [str(cometbft), "start", "--home", str(home), *(first.arguments if first else ())],
            _StatusReporter(manager, configuration["rpc"]["laddr"]),
            lambda: unix_sockets.listener(place) == app,
        )
    except (Refused, OSError) as error:
        logs.say("error", f"CometBFT does not start: {error}")
        return 1


def _arguments(arguments: list[str]) -> tuple[Path, Path]:
    if len(arguments) != 2:
        raise Refused("usage: python -m workflow_backend_node.comet COMETBFT HOME")
    cometbft, home = Path(arguments[0]), Path(arguments[1])
    if not os.access(cometbft, os.X_OK):
        raise Refused(f"{cometbft} is not a program that this account may run")
    return cometbft, home


def _wait_for_app(place: str) -> str:
    deadline = time.monotonic() + APP_SECONDS
    while (app := unix_sockets.listener(place)) is None:
        if time.monotonic() > deadline:
            raise Refused(
                f"the app has not listened on {place} within {APP_SECONDS:.0f} s: see its log"
            )
        time.sleep(POLL_SECONDS / 5)
    return app


def _wait_for_servers(urls: list[str]) -> None:
    """Wait for what state sync asks; CometBFT would end at once where one is missing."""
    deadline = time.monotonic() + SERVER_SECONDS
    for url in urls:
        parts = urlsplit(url)
        while True:
            try:
                socket.create_connection((parts.hostname, parts.port), ANSWER_SECONDS).close()
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise Refused(
                        f"state sync can't reach {url} ({error}): run bootstrap-state-sync.yml "
                        "again, its tunnels are gone"
                    ) from error
                time.sleep(POLL_SECONDS)


class _StatusReporter:
    """Reports to the service manager what CometBFT's RPC says, as often as that one expects it."""

    def __init__(self, manager: Manager, rpc: str) -> None:
        self.manager = manager
        host, _, port = rpc.removeprefix("tcp://").rpartition(":")
        self._address = host.strip("[]"), int(port)
        self._ready = False
        self._next = 0.0

    def report(self) -> None:
        """Ask the RPC when it is time, and report its answer; without one there is no report."""
        if time.monotonic() < self._next:
            return
        height = self._height()
        if height is not None:
            self.manager.notify(READY=1, WATCHDOG=1, STATUS=f"block {height}")
            self._ready = True
        elif self._ready:
            self.manager.notify(STATUS="the RPC does not answer")
        self._next = time.monotonic() + (self.manager.beat if self._ready else POLL_SECONDS)

    def _height(self) -> int | None:
        try:
            with closing(HTTPConnection(*self._address, timeout=ANSWER_SECONDS)) as connection:
                connection.request("GET", "/status")
                answer = json.load(connection.getresponse())
            return int(answer["result"]["sync_info"]["latest_block_height"])
        except OSError, HTTPException, ValueError, LookupError, TypeError:
            return None


def _run(command: list[str], reporter: _StatusReporter, app_listens: Callable[[], bool]) -> int:
    # CometBFT must not outlive this program either, so the kernel kills it then.
    comet = child_process.start(command, on_death=signal.SIGKILL)

    def forward(number: int, _: object) -> None:
        reporter.manager.notify(STOPPING=1, STATUS="stops")
        comet.send_signal(number)

    def consensus_failed(*_: object) -> None:
        logs.say("error", "CometBFT's consensus has failed: it is killed")
        comet.kill()

    signal.signal(log_lines.CONSENSUS_FAILED, consensus_failed)
    for how in (signal.SIGTERM, signal.SIGINT):
        signal.signal(how, forward)
    while app_listens():
        try:
            return child_process.exit_status(comet.wait(POLL_SECONDS))
        except subprocess.TimeoutExpired:
            reporter.report()
    try:
        return child_process.exit_status(comet.wait(GRACE_SECONDS))
    except subprocess.TimeoutExpired:
        logs.say("warning", "the app is gone and CometBFT hangs: it is killed")
        comet.kill()
        return child_process.exit_status(comet.wait())


if __name__ == "__main__":
    sys.exit(main())
