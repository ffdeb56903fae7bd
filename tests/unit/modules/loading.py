"""Ansible modules of this toolkit, by the names that Ansible gives them."""

import importlib
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[3]
COLLECTIONS = REPO / "playbooks" / "collections"
PLUGINS = "ansible_collections.xian.workflow_backend.plugins"


def utility(name: str) -> Any:
    """Return a file of `plugins/module_utils`."""
    return importlib.import_module(f"{PLUGINS}.module_utils.{name}")


def module(name: str) -> Any:
    """Return a file of `plugins/modules`."""
    return importlib.import_module(f"{PLUGINS}.modules.{name}")


def filters(name: str) -> dict[str, Any]:
    """Return the filters of a file of `plugins/filter`."""
    loaded: dict[str, Any] = (
        importlib.import_module(f"{PLUGINS}.filter.{name}").FilterModule().filters()
    )
    return loaded
