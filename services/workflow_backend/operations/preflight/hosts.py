"""The hosts of the inventory: each is a machine of its own."""

from collections.abc import Iterator

from .findings import Finding
from .inventory import Inventory


def check(inventory: Inventory) -> Iterator[Finding]:
    """Find two names of one machine: the second would be put over the first."""
    names: dict[tuple[str, str], list[str]] = {}
    for host in inventory.hosts.values():
        if not host.local:
            address = str(host.values.get("ansible_host", host.name))
            port = str(host.values.get("ansible_port", 22))
            names.setdefault((address.lower(), port), []).append(host.name)
    for (address, _), same in names.items():
        if len(same) > 1:
            yield Finding(
                "hosts",
                tuple(same),
                f"{' and '.join(same)} are one machine, {address}",
                "give each its own ansible_host, or remove one",
            )
