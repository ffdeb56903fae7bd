"""What an operator sets: variables of the inventory's files and of the command line."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible import context
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecretsContext
from ansible.utils.vars import load_extra_vars
from ansible.vars.manager import VariableManager

DOCUMENTATION = """
name: operator_variables
short_description: Names of variables that an operator sets, in the inventory or by -e
description:
  - The inventory is read again, because a running play keeps results of tasks beside its variables.
options:
  _input: {description: C(ansible_inventory_sources), type: list, elements: str, required: true}
  pattern: {description: "Which names, a regular expression", type: str, required: true}
author: The authors of this toolkit
"""
EXAMPLES = """
names: "{{ ansible_inventory_sources | xian.workflow_backend.operator_variables('^__') }}"
"""
RETURN = """
_value: {description: "The names, sorted", type: list, elements: str}
"""


def operator_variables(sources: Iterable[str], pattern: str) -> list[str]:
    """Return the names; see above."""
    loader = DataLoader()
    loader.set_vault_secrets(VaultSecretsContext.current().secrets)
    loader.set_basedir(str(Path(context.CLIARGS["args"][0]).parent))  # has group_vars, too
    inventory = InventoryManager(loader=loader, sources=list(sources))
    manager = VariableManager(loader=loader, inventory=inventory)
    names = set(load_extra_vars(loader))
    for host in inventory.get_hosts("all", ignore_limits=True):
        names |= set(manager.get_vars(host=host, include_hostvars=False))
    return sorted(name for name in names if re.search(pattern, name))


class FilterModule:
    """Tells Ansible of the filter."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {"operator_variables": operator_variables}
