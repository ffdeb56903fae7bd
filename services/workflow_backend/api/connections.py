"""Connection limits: in all, as far as open files allow, and for each client address."""

import resource
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

MAX_CONNECTIONS = 2048
MAX_PER_ADDRESS = 512

RESERVED_FILES = 256
"""Files that the process may open beside its connections: the node, the projection, logs."""

type Network = IPv4Network | IPv6Network


def client_of(address: str) -> str:
    """Return the client that limits count an address for: of IPv6, its /64 network."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    mapped = parsed.ipv4_mapped
    return str(mapped or IPv6Network((int(parsed) >> 64 << 64, 64)))


def raise_file_limit() -> int:
    """Raise this process's limit of open files as far as allowed, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_CONNECTIONS + RESERVED_FILES
    if soft == resource.RLIM_INFINITY or soft >= limit:
        return limit
    allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


class Connections:
    """Counts the open connections of one process.

    A proxy stands for many clients, so the limit for an address does not apply to `proxies`.
    """

    def __init__(self, most: int, proxies: Sequence[Network] = ()) -> None:
        self._most = most
        self._proxies = proxies
        self._by_client: Counter[str] = Counter()
        self._open = 0

    def admit(self, address: str) -> HTTPStatus | None:
        """Count a new connection and return None, or return the status to refuse it with."""
        client = client_of(address)
        if self._open >= self._most:
            return HTTPStatus.SERVICE_UNAVAILABLE
        if self._by_client[client] >= MAX_PER_ADDRESS and not self._is_proxy(address):
            return HTTPStatus.TOO_MANY_REQUESTS
        self._open += 1
        self._by_client[client] += 1
        return None

    def release(self, address: str) -> None:
        """Stop counting a connection that was admitted."""
        client = client_of(address)
        self._open -= 1
        self._by_client[client] -= 1
        if not self._by_client[client]:
            del self._by_client[client]

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)
