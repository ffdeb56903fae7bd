"""The wallets of a network's services, by what they are for and by who runs them."""

from collections.abc import Collection, Mapping
from typing import Any

DOCUMENTATION = """
name: network_wallets
short_description: The public keys of all wallets of one service
description:
  - A wallet is called by its service, or by its service and host, C(SERVICE-HOST).
  - A host that C(left) runs the service no more, by the groups of the inventory and its
    C(workflow_services_names), where it is one of the inventory or has a node in the network.
    Wallets of others are by names that only their owner knows, and stay.
options:
  _input: {description: What C(wallets.json) holds, type: dict, required: true}
  service: {description: Name of the service, type: str, required: true}
  left: {description: Hosts whose wallets are left out, type: list, elements: str, default: []}
author: The authors of this toolkit
"""
EXAMPLES = """
left: "{{ hostvars | hosts_without('processor', groups, network.hosts) }}"
workers: "{{ public_keys | network_wallets('processor', left) }}"
former_workers: "{{ public_keys | left_wallets('processor', left) }}"
"""
RETURN = """
_value: {description: Public keys, in the order of the names, type: list, elements: str}
"""

SERVICES = ("handlers", "projector", "processor", "api")


def network_wallets(
    public_keys: Mapping[str, str], service: str, left: Collection[str] = ()
) -> list[str]:
    """Return the keys; see above."""
    gone = {f"{service}-{host}" for host in left}
    return [
        key
        for name, key in sorted(public_keys.items())
        if (name == service or name.startswith(f"{service}-")) and name not in gone
    ]


def left_wallets(public_keys: Mapping[str, str], service: str, left: Collection[str]) -> list[str]:
    """Return the keys of hosts that run the service no more."""
    return [
        public_keys[name]
        for name in (f"{service}-{h}" for h in sorted(left))
        if name in public_keys
    ]


def hosts_without(
    hosts: Mapping[str, Mapping[str, Any]],
    service: str,
    groups: Mapping[str, Collection[str]],
    known: Collection[str],
) -> list[str]:
    """Return the hosts of the inventory, and those known of the network, without a service."""
    serving = groups.get("workflow_services", ())
    running = {
        host
        for host in serving
        if service in (hosts[host].get("workflow_services_names") or SERVICES)
    }
    return sorted({*groups.get("all", ()), *known} - running)


class FilterModule:
    """Tells Ansible of the filters."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {
            "network_wallets": network_wallets,
            "left_wallets": left_wallets,
            "hosts_without": hosts_without,
        }
