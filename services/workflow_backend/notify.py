"""What a service tells the service manager: that it is ready, alive, or about to end.

The manager listens where NOTIFY_SOCKET says; without one there is nobody to tell.
"""

import os
import socket


def tell(**facts: object) -> None:
    """Tell facts such as READY=1, STATUS="...", WATCHDOG=1 or STOPPING=1; never blocks."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    lines = "\n".join(f"{name}={str(value).replace('\n', ' ')}" for name, value in facts.items())
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        try:
            manager.sendto(lines.encode(), address)
        except OSError:
            # A manager that does not listen just now must not end the service; its watchdog may.
            return
