"""A service manager's ear for tests: what a program told it, as systemd would hear it."""

import socket
import tempfile
import time
from pathlib import Path
from typing import Self


class Ear:
    """Listens in a folder of its own; `environment` is what a program needs to be heard.

    `patience` is the one that the manager asks of the program's watchdog.
    """

    def __init__(self, patience: float) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ear-", dir="/tmp")
        Path(self._folder.name).chmod(0o711)
        path = f"{self._folder.name}/notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(path)
        Path(path).chmod(0o777)  # programs run as another account
        self.environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(int(patience * 1e6))}
        self.speakers: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._folder.cleanup()

    def hear(self, seconds: float) -> dict[str, str]:
        """The next message; empty when there is none in that time."""
        self._socket.settimeout(max(seconds, 0.001))
        try:
            message, ancillary, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(12))
        except TimeoutError:
            return {}
        self.speakers.add(int.from_bytes(ancillary[0][2][:4], "little"))
        return dict(line.split("=", 1) for line in message.decode().splitlines())

    def wait_for(self, fact: str, seconds: float) -> list[dict[str, str]]:
        """The messages up to the one with the fact, such as "READY" or "STATUS=stops"."""
        name, _, value = fact.partition("=")
        heard: list[dict[str, str]] = []
        deadline = time.monotonic() + seconds
        while message := self.hear(deadline - time.monotonic()):
            heard.append(message)
            if name in message and message[name].startswith(value):
                return heard
        raise AssertionError(f"not within {seconds:.0f} s: {fact} (heard: {heard})")

    def forget(self) -> None:
        """Take what has been said until now as heard."""
        while self.hear(0):
            pass
