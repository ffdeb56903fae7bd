"""Ansible modules of this toolkit, loaded as Ansible loads them on a host."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[3]


def utility(name: str) -> Any:
    """Return a file of `module_utils`."""
    folder = importlib.import_module("ansible.module_utils").__path__
    if str(REPO / "module_utils") not in folder:
        folder.append(str(REPO / "module_utils"))
    return importlib.import_module(f"ansible.module_utils.{name}")


def module(name: str) -> Any:
    """Return a file of `library`."""
    utility("basic")
    spec = importlib.util.spec_from_file_location(name, REPO / "library" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
