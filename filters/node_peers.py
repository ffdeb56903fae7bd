"""The peers of a node, from the inventory and from what everybody may know of the network."""

from collections.abc import Mapping
from typing import Any

DOCUMENTATION = """
name: node_peers
short_description: The peers that a node stays connected with
description:
  - They are the other hosts of the network in the inventory, and the peers that the network was
    joined by.
  - A host is reached at its C(xian_node_p2p_external_address), or at its C(xian_node_p2p_address);
    where that is every address, C(0.0.0.0), at C(ansible_host). One that listens on loopback alone,
    as is the default, is no peer of anybody; it may still connect to others.
options:
  _input: {description: What C(network.json) holds, type: dict, required: true}
  hosts: {description: C(hostvars), type: dict, required: true}
  name: {description: Name of the node's host, type: str, required: true}
author: The authors of this toolkit
"""
EXAMPLES = """
peers: "{{ network | node_peers(hostvars, inventory_hostname) }}"
"""
RETURN = """
_value: {description: 'NODE_ID@HOST:PORT of each', type: list, elements: str}
"""


def node_peers(
    network: Mapping[str, Any], hosts: Mapping[str, Mapping[str, Any]], name: str
) -> list[str]:
    """Return the peers; see above."""
    peers = list(network.get("peers", ()))
    for other, public in network["hosts"].items():
        address = _address(hosts[other], other) if other in hosts and other != name else None
        if address:
            peers.append(f"{public['node_id']}@{address}")
    return peers


def _address(host: Mapping[str, Any], name: str) -> str | None:
    told = host.get("xian_node_p2p_external_address")
    if told:
        return str(told)
    ip, _, port = str(host.get("xian_node_p2p_address", "127.0.0.1:26656")).rpartition(":")
    if ip in {"0.0.0.0", "[::]", ""}:  # noqa: S104 - compared, not bound
        return f"{host.get('ansible_host', name)}:{port}"
    return None if ip.startswith("127.") or ip in {"[::1]", "localhost"} else f"{ip}:{port}"


class FilterModule:
    """Tells Ansible of the filter."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {"node_peers": node_peers}
