"""Who listens where: a taken port is one clear line, not a node that never gets ready."""

import os
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from workflow_backend_node.requests import Refused

type Address = IPv4Address | IPv6Address

LISTENING = "0A"  # TCP_LISTEN in the state column of /proc/net/tcp


def refuse_ports_in_use(addresses: dict[str, str], ours: str) -> None:
    """Raise `Refused` for an address that another program listens on.

    `addresses` are "IP-ADDRESS:PORT" by the names of their settings. A program is ours when `ours`,
    the node's home, is among its arguments.
    """
    for name, address in addresses.items():
        host, _, port = address.rpartition(":")
        try:
            listeners = list(_listeners(ip_address(host.strip("[]")), int(port)))
        except ValueError:
            raise Refused(f"{name} is {address!r}, it must be IP-ADDRESS:PORT") from None
        for inode, uid in listeners:
            who = _owner(inode)
            if who is None and uid == os.getuid():
                continue  # a unit's process of this account is closed even to the account itself
            if who is None or ours not in who[1]:
                owner = (
                    "a program of another user"
                    if who is None
                    else f"process {who[0]} ({who[1][0]})"
                )
                raise Refused(f"{address} is in use by {owner}: end it, or set another {name}")


def _listeners(host: Address, port: int) -> Iterator[tuple[str, int]]:
    """The inodes of the sockets that would be in the way, and whose they are."""
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/self/net/{table}").read_text(encoding="utf-8").splitlines()[1:]:
            columns = line.split()  # sl local_address rem_address st ... uid timeout inode
            local, _, local_port = columns[1].rpartition(":")
            if columns[3] == LISTENING and int(local_port, 16) == port and _overlap(local, host):
                yield columns[9], int(columns[7])


def _overlap(local: str, ours: Address) -> bool:
    words = [bytes.fromhex(local[i : i + 8])[::-1] for i in range(0, len(local), 8)]
    bound = ip_address(b"".join(words))
    bound = getattr(bound, "ipv4_mapped", None) or bound
    return bound == ours or bound.is_unspecified or ours.is_unspecified


def _owner(inode: str) -> tuple[int, list[str]] | None:
    """Process id and arguments of who holds the socket; None where the kernel does not show it."""
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        with suppress(
            OSError
        ):  # processes end while they are looked at, others belong to somebody else
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) == f"socket:[{inode}]":
                    arguments = (process / "cmdline").read_text(encoding="utf-8", errors="replace")
                    return int(process.name), arguments.split("\0")
    return None
