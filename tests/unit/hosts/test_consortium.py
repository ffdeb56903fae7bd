"""The scenario of four validators is the inventory that is shipped for them, on other addresses."""

from pathlib import Path
from typing import Any

import yaml
from tests.hosts import REPO

INVENTORY = REPO / "inventories" / "consortium"
SCENARIO = REPO / "tests" / "hosts" / "molecule" / "consortium"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_hosts_have_the_groups_of_the_inventory() -> None:
    shipped: dict[str, set[str]] = {}
    for group, content in read(INVENTORY / "hosts.yml")["all"]["children"].items():
        for host in content["hosts"]:
            shipped.setdefault(host, set()).add(group)
    platforms = read(SCENARIO / "molecule.yml")["platforms"]
    assert shipped == {one["name"]: set(one["groups"]) for one in platforms if "groups" in one}


def test_variables_are_those_of_the_inventory_and_what_an_operator_brings() -> None:
    given = read(SCENARIO / "molecule.yml")["provisioner"]["inventory"]["links"]
    assert (SCENARIO / given.pop("group_vars")).resolve() == INVENTORY / "group_vars"
    assert given == {"hosts": "inventory/hosts.yml"}
    brought = read(SCENARIO / "inventory" / "hosts.yml")["all"]["vars"]
    vaulted = {name for name in brought if name.startswith("vault_")}
    assert brought.keys() - vaulted == {"networks"}
    assert "networks" in read(INVENTORY / "hosts.yml")["all"]["vars"]
