"""Notifies the service manager that a program of the node is ready, alive or about to end.

systemd listens where NOTIFY_SOCKET says and, when asked to watch the program, gives its patience in
WATCHDOG_USEC. Under supervisor nobody listens and nothing is sent.
"""

import os
import socket
from contextlib import suppress

BEAT_SECONDS = 5.0


class Manager:
    """Takes the manager's variables out of the environment, so that no child notifies in its place.

    `beat` is the time between two signs of life, in seconds; the manager's patience is four at
    least.
    """

    def __init__(self) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        watched = os.environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        patience = int(os.environ.pop("WATCHDOG_USEC", "0")) / 1e6
        self.beat = min(BEAT_SECONDS, patience / 4) if patience and watched else BEAT_SECONDS

    def notify(self, **facts: object) -> None:
        """Send facts such as READY=1, STATUS="...", WATCHDOG=1 or STOPPING=1; never blocks."""
        if not self._address:
            return
        message = "\n".join(
            f"{name}={str(fact).replace('\n', ' ')}" for name, fact in facts.items()
        )
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with (
            suppress(OSError),  # a manager that does not listen just now must not end the program
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager,
        ):
            manager.sendto(message.encode(), address)
