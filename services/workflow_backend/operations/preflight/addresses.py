"""Addresses and ports: what one host listens on, and what clashes with what."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import combinations

from ..dsn import PORT, Dsn
from .findings import Finding, Level
from .inventory import Host, Inventory

type Ip = IPv4Address | IPv6Address

CHECK = "ports"

_OUTSIDE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+):[0-9]{1,5}")

NODE_ADDRESSES = (
    "xian_node_rpc_address",
    "xian_node_p2p_address",
    "xian_node_metrics_address",
    "xian_node_cometbft_metrics_address",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that a program will listen on; `variable` is where it is set."""

    variable: str
    ip: Ip
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if self.ip.version == 6 else f"{self.ip}:{self.port}"

    def meets(self, ip: Ip, port: int) -> bool:
        """Tell whether a listener on that address would be in the way."""
        return self.port == port and (self.ip == ip or self.ip.is_unspecified or ip.is_unspecified)


def endpoints(host: Host) -> list[Endpoint]:
    """Return what the programs of a host will listen on, as far as its variables are right."""
    found = []
    for name, text in _listened(host):
        try:
            found.append(_endpoint(name, text))
        except ValueError:
            continue
    return found


def check(inventory: Inventory) -> Iterator[Finding]:
    """Find addresses that are none, and two programs of one host on one port."""
    for host in inventory.hosts.values():
        for name, text in _listened(host):
            try:
                _endpoint(name, text)
            except ValueError:
                hint = "an IPv6 address is in brackets: [fd00::5]:PORT"
                what = f"{name} is {text!r}, it must be IP-ADDRESS:PORT"
                yield Finding(CHECK, (host.name,), what, hint)
        outside = host.text("xian_node_p2p_external_address") if host.node else ""
        if outside and not _OUTSIDE.fullmatch(outside):
            what = f"xian_node_p2p_external_address is {outside!r}, it must be one HOST:PORT"
            yield Finding(CHECK, (host.name,), what, "an IPv6 address is in brackets")
        for one, other in combinations([*endpoints(host), *_databases(host)], 2):
            if one.variable != other.variable and one.meets(other.ip, other.port):
                yield Finding(
                    CHECK,
                    (host.name,),
                    f"{one.variable} and {other.variable} are both on port {one.port}",
                    "give one of them another port",
                )
        yield from _reachable(host, inventory)


def _listened(host: Host) -> Iterator[tuple[str, str]]:
    if host.node:
        for name in NODE_ADDRESSES:
            yield name, host.text(name)
    if "api" in host.services:
        address = host.text("workflow_services_api_host")
        bracketed = f"[{address}]" if ":" in address else address
        yield "workflow_services_api_port", f"{bracketed}:{host.text('workflow_services_api_port')}"


def _endpoint(variable: str, text: str) -> Endpoint:
    address, _, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
    bracketed = address.startswith("[") and address.endswith("]")
    ip = ip_address(address[1:-1] if bracketed else address)
    if not 0 < number < 65536 or bracketed != (ip.version == 6):
        raise ValueError(text)
    return Endpoint(variable, ip, number)


def _databases(host: Host) -> Iterator[Endpoint]:
    """The ports of databases that a DSN expects on this host: another program listens there."""
    shown: dict[tuple[Ip, int], str] = {}
    for name in sorted(host.names):
        if name.endswith("_dsn") and name in host.values:
            dsn = Dsn.parse(host.text(name))
            if dsn is None:
                continue
            address = "127.0.0.1" if dsn.host == "localhost" else dsn.host
            try:
                # Two DSNs may well lead to one database.
                shown.setdefault((ip_address(address), dsn.port or PORT), name)
            except ValueError:
                continue  # it is a socket's, or another machine's by its name
    for (ip, port), name in shown.items():
        if ip.is_loopback:
            yield Endpoint(name, ip, port)


def _reachable(host: Host, inventory: Inventory) -> Iterator[Finding]:
    """A node of several must find another, and its RPC be where others can't come."""
    if host.node and not host.local and not _open_to_peers(host) and _alone(host, inventory):
        yield Finding(
            CHECK,
            (host.name,),
            "no other node of the network gets here, nor this one to any other",
            "xian_node_p2p_address is the host's address in the network that the nodes share",
        )
    for endpoint in endpoints(host):
        if endpoint.variable == "xian_node_rpc_address" and not endpoint.ip.is_loopback:
            yield Finding(
                "exposure",
                (host.name,),
                f"xian_node_rpc_address is {endpoint}: whoever reaches it may send transactions",
                "keep it on 127.0.0.1, or see that a firewall lets only your own hosts through",
                Level.WARNING,
            )


def _open_to_peers(host: Host) -> bool:
    return bool(host.text("xian_node_p2p_external_address")) or any(
        endpoint.variable == "xian_node_p2p_address" and not endpoint.ip.is_loopback
        for endpoint in endpoints(host)
    )


def _alone(host: Host, inventory: Inventory) -> bool:
    """Tell whether a node has others, and a way to none of them."""
    network = inventory.network(host)
    if network is None or network.peers or host.values.get("xian_node_peers"):
        return False
    others = [h for h in inventory.nodes if h.name != host.name and h.folder == host.folder]
    return len(network.hosts) > 1 and not any(_open_to_peers(other) for other in others)
