"""How many connections may be open: in all, as the files allow, and from one address."""

import resource
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

MOST = 2048
MOST_PER_ADDRESS = 512

FILES_KEPT = 256
"""Files that the process opens beside its connections: the node's, the projection's, logs."""

type Network = IPv4Network | IPv6Network


def client_of(address: str) -> str:
    """Return the client that an address stands for: an IPv6 client has a whole /64 of them."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    mapped = parsed.ipv4_mapped
    return str(mapped or IPv6Network((int(parsed) >> 64 << 64, 64)))


def file_limit() -> int:
    """Raise this process's limit of open files as far as it may, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + FILES_KEPT
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


class Connections:
    """The open connections of one process.

    A proxy stands for many clients: those from one of `proxies` count in the whole only.
    """

    def __init__(self, most: int, proxies: Sequence[Network] = ()) -> None:
        self._most = most
        self._proxies = proxies
        self._by_client: Counter[str] = Counter()
        self._open = 0

    def refusal(self, address: str) -> HTTPStatus | None:
        """Count one more in; return None, or the status to refuse it with where it is too many."""
        client = client_of(address)
        if self._open >= self._most:
            return HTTPStatus.SERVICE_UNAVAILABLE
        if self._by_client[client] >= MOST_PER_ADDRESS and not self._is_proxy(address):
            return HTTPStatus.TOO_MANY_REQUESTS
        self._open += 1
        self._by_client[client] += 1
        return None

    def leave(self, address: str) -> None:
        """Count out one that was let in."""
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
