"""The peers of a node, from the inventory and from what everybody may know of the network."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = """
name: node_peers
short_description: The peers that a node stays connected with
description:
  - They are the other hosts of the network in the inventory, and the peers that the network was
    joined by.
  - A host is reached at its C(xian_node_p2p_external_address), or at its C(xian_node_p2p_address);
    where that is every address, C(0.0.0.0) or C([::]), at C(ansible_host). One that listens on
    loopback alone, as is the default, is no peer of anybody; it may still connect to others.
options:
  _input: {description: What C(network.json) holds, type: dict, required: true}
  hosts: {description: C(hostvars), type: dict, required: true}
  name: {description: Name of the node's host, type: str, required: true}
author: The authors of this toolkit
"""
EXAMPLES = """
peers: "{{ network | xian.workflow_backend.node_peers(hostvars, inventory_hostname) }}"
dialling: "{{ peers | xian.workflow_backend.inbound_peers(network, hostvars, inventory_hostname) }}"
"""
RETURN = """
_value: {description: 'NODE_ID@HOST:PORT of each', type: list, elements: str}
"""

_EVERY = {"0.0.0.0", "[::]", ""}  # noqa: S104 - compared, not bound
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+):[0-9]{1,5}")


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


def inbound_peers(
    peers: Sequence[str],
    network: Mapping[str, Any],
    hosts: Mapping[str, Mapping[str, Any]],
    name: str,
) -> list[str]:
    """Return those of a node's peers that connect to it by themselves, so that it need not.

    They are hosts of the inventory that have this node as a peer in their turn.
    """
    if name not in network["hosts"] or _address(hosts[name], name) is None:
        return []
    own = network["hosts"][name]["node_id"]
    dialling = {
        public["node_id"]
        for other, public in network["hosts"].items()
        if other in hosts and other != name and _dials(hosts[other], own)
    }
    return [peer for peer in peers if peer.partition("@")[0] in dialling]


def _dials(host: Mapping[str, Any], node_id: str) -> bool:
    """Tell whether a host has a node as its peer; where it names none, it has every one."""
    named = host.get("xian_node_peers")
    return named is None or any(str(peer).partition("@")[0] == node_id for peer in named)


def _address(host: Mapping[str, Any], name: str) -> str | None:
    external = host.get("xian_node_p2p_external_address")
    if external:
        return _parsed(name, "xian_node_p2p_external_address", str(external))
    listens = str(host.get("xian_node_p2p_address", "127.0.0.1:26656"))
    ip, _, port = listens.rpartition(":")
    if ip in _EVERY:
        reached_at = str(host.get("ansible_host", name))
        is_bare = ":" in reached_at and not reached_at.startswith("[")
        bracketed = f"[{reached_at}]" if is_bare else reached_at
        return _parsed(name, "ansible_host", f"{bracketed}:{port}")
    if ip.startswith("127.") or ip in {"[::1]", "localhost"}:
        return None
    return _parsed(name, "xian_node_p2p_address", listens)


def _parsed(host: str, variable: str, address: str) -> str:
    """Return an address that is one and no more: it becomes a line of other nodes' settings."""
    if not _ADDRESS.fullmatch(address):
        raise AnsibleFilterError(
            f"{variable} of {host} gives its peers the address {address!r}, it must be HOST:PORT "
            "(an IPv6 address in brackets)"
        )
    return address


class FilterModule:
    """Tells Ansible of the filters."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {"node_peers": node_peers, "inbound_peers": inbound_peers}
