"""The wallets of a network's services, by what they are for."""

from collections.abc import Mapping
from typing import Any

DOCUMENTATION = """
name: network_wallets
short_description: The public keys of all wallets of one service
description: A wallet is called by its service, or by its service and host, C(SERVICE-HOST).
options:
  _input: {description: What C(wallets.json) holds, type: dict, required: true}
  service: {description: Name of the service, type: str, required: true}
author: The authors of this toolkit
"""
EXAMPLES = """
workers: "{{ public_keys | network_wallets('processor') }}"
"""
RETURN = """
_value: {description: Public keys, in the order of the names, type: list, elements: str}
"""


def network_wallets(public_keys: Mapping[str, str], service: str) -> list[str]:
    """Return the keys; see above."""
    return [
        key
        for name, key in sorted(public_keys.items())
        if name == service or name.startswith(f"{service}-")
    ]


class FilterModule:
    """Tells Ansible of the filter."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {"network_wallets": network_wallets}
