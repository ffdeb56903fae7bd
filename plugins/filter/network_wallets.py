"""The wallets of a network's services, by what they are for and by who runs them."""

from collections.abc import Collection, Mapping
from typing import Any

DOCUMENTATION = """
name: network_wallets
short_description: The public keys of all wallets of one service
description:
  - A wallet is called by its service, or by its service and host, C(SERVICE-HOST).
  - A host that the inventory deploys or retires has C(left) a service that its groups and its
    C(workflow_services_names) lack. Any other host has not, though it may have a node in the
    network, because another inventory may deploy it. Its right on the chain is neither given nor
    taken away. Wallets of others are by names that only their owner knows, and stay.
options:
  _input: {description: What C(wallets.json) holds, type: dict, required: true}
  service: {description: Name of the service, type: str, required: true}
  left: {description: Hosts whose wallets are left out, type: list, elements: str, default: []}
author: The authors of this toolkit
"""
EXAMPLES = """
left: "{{ hostvars | xian.workflow_backend.hosts_without('processor', groups) }}"
api_wallets: "{{ public_keys | xian.workflow_backend.network_wallets('api') }}"
workers: "{{ public_keys | xian.workflow_backend.worker_wallets(hostvars, groups, network.hosts) }}"
names: "{{ hostvars | xian.workflow_backend.service_wallets(groups) }}"
former_workers: "{{ public_keys | xian.workflow_backend.left_wallets('processor', left) }}"
"""
RETURN = """
_value: {description: Public keys, in the order of the names, type: list, elements: str}
"""

SERVICES = ("handlers", "projector", "processor", "api")
DEPLOYED = ("xian_node", "postgres", "workflow_services", "retired")
WITH_WALLETS = ("processor", "api")


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
    """Return the keys of hosts that no longer run the service."""
    return [
        public_keys[name]
        for name in (f"{service}-{h}" for h in sorted(left))
        if name in public_keys
    ]


def hosts_without(
    hosts: Mapping[str, Mapping[str, Any]], service: str, groups: Mapping[str, Collection[str]]
) -> list[str]:
    """Return the hosts that the inventory deploys or retires, without a service."""
    deployed = {host for group in DEPLOYED for host in groups.get(group, ())}
    return sorted(deployed - _hosts_with(hosts, service, groups))


def worker_wallets(
    public_keys: Mapping[str, str],
    hosts: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Collection[str]],
    network: Collection[str],
) -> list[str]:
    """Return the keys of processors, but of no host that runs none or that another deploys.

    `network` names the hosts of the network, of which the inventory may lack some.
    """
    known = {*groups.get("all", ()), *network}
    return network_wallets(
        public_keys, "processor", known - _hosts_with(hosts, "processor", groups)
    )


def service_wallets(
    hosts: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Collection[str]]
) -> list[str]:
    """Return the names of the wallets that the services of all hosts need."""
    return [
        f"{service}-{host}"
        for host in groups.get("workflow_services", ())
        for service in _services(hosts[host])
        if service in WITH_WALLETS
    ]


def _hosts_with(
    hosts: Mapping[str, Mapping[str, Any]], service: str, groups: Mapping[str, Collection[str]]
) -> set[str]:
    return {
        host for host in groups.get("workflow_services", ()) if service in _services(hosts[host])
    }


def _services(host: Mapping[str, Any]) -> Collection[str]:
    """Return the services of a host: all where it names none, and none where its list is empty."""
    names: Collection[str] | None = host.get("workflow_services_names")
    return SERVICES if names is None else names


class FilterModule:
    """Tells Ansible of the filters."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {
            "network_wallets": network_wallets,
            "left_wallets": left_wallets,
            "hosts_without": hosts_without,
            "worker_wallets": worker_wallets,
            "service_wallets": service_wallets,
        }
