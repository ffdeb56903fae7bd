"""Notifications to the service manager (sd_notify): ready, alive, stopping.

NOTIFY_SOCKET names the manager's socket. Without it nothing is sent.
"""

import os
import socket


def send(**assignments: object) -> None:
    """Send assignments such as READY=1, STATUS="...", WATCHDOG=1 or STOPPING=1; never blocks."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    lines = "\n".join(
        f"{name}={str(value).replace('\n', ' ')}" for name, value in assignments.items()
    )
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        try:
            manager.sendto(lines.encode(), address)
        except OSError:
            # A manager that does not listen must not end the service; its watchdog may do so.
            return
