"""Bridges and links, by way of `ip`."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from pathlib import Path
from typing import Any

from steps import SetupError

from .store import LAST_NUMBER, Record

_RANGE = "10.213.{}.0/24"


def free_number(taken: set[int], routes: list[str], last: int) -> int:
    """The next number after the last whose addresses nothing on this machine uses.

    The addresses of hosts that are gone come back as late as can be: an SSH client may still keep a
    connection to one, and would take it for a connection to the new host.
    """
    used = [ipaddress.ip_network(route, strict=False) for route in routes]
    for step in range(LAST_NUMBER):
        number = (last + step) % LAST_NUMBER + 1
        subnet = ipaddress.ip_network(_RANGE.format(number))
        if number not in taken and not any(subnet.overlaps(other) for other in used):
            return number
    raise SetupError("every network of 10.213.0.0/16 is in use", "python -m tests.hosts clean")


def routes() -> list[str]:
    """Where this machine sends packets to, the default route aside."""
    return [
        route["dst"]
        for route in _ip("-4", "route", "show", "table", "all")
        if route["dst"] != "default"
    ]


def add_bridge(record: Record) -> None:
    """Make the bridge; the name is free only once, so two that try at once get one each."""
    _ip("link", "add", "name", record.bridge, "type", "bridge")
    # The hosts have addresses of IPv4 alone, so that there is one way to reach each.
    Path(f"/proc/sys/net/ipv6/conf/{record.bridge}/disable_ipv6").write_text("1")
    _ip("address", "add", f"{record.gateway}/24", "dev", record.bridge)
    _ip("link", "set", record.bridge, "up")


def names() -> list[str]:
    """Every link of this machine."""
    return [path.name for path in Path("/sys/class/net").iterdir()]


def exists(link: str) -> bool:
    """Whether there is a link of this name."""
    return Path("/sys/class/net", link).exists()


def switch(link: str, state: str) -> None:
    """Set a link `up` or `down`."""
    _ip("link", "set", link, state)


def remove(link: str) -> None:
    """Remove a link, or nothing where there is none."""
    if exists(link):
        try:
            _ip("link", "delete", link)
        except SetupError:
            # The kernel may have removed it meanwhile, with the namespace that its other end is in.
            if exists(link):
                raise


def _ip(*arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(["ip", "-json", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"ip {' '.join(arguments)}: {done.stderr.strip()}", "read the reason")
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found
