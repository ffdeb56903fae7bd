"""What several hosts have in one variable."""

from collections.abc import Iterable, Mapping
from typing import Any

DOCUMENTATION = """
name: host_values
short_description: The value of one variable on each host
description:
  - Hosts that do not have the variable are left out, or have the default where one is given.
options:
  _input: {description: Names of hosts, type: list, elements: str, required: true}
  hosts: {description: C(hostvars), type: dict, required: true}
  name: {description: Name of the variable, type: str, required: true}
  default: {description: Value of hosts that do not have it, type: raw}
author: The authors of this toolkit
"""
EXAMPLES = """
homes: "{{ groups.xian_node | xian.workflow_backend.host_values(hostvars, 'xian_node_home') }}"
"""
RETURN = """
_value: {description: The values by host, type: dict}
"""


def host_values(
    names: Iterable[str],
    hosts: Mapping[str, Mapping[str, Any]],
    name: str,
    default: Any = None,
) -> dict[str, Any]:
    """Return the values; see above."""
    found = {host: hosts[host].get(name, default) for host in names}
    return {host: value for host, value in found.items() if value is not None}


class FilterModule:
    """Tells Ansible of the filter."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {"host_values": host_values}
