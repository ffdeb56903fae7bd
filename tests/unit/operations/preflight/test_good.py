"""Where nothing is wrong nothing is found, and what preflight knows is what the roles have."""

import re
from pathlib import Path

import pytest
import yaml

import workflow_backend.operations.preflight as package
from workflow_backend.operations.preflight import control_files

from .inventories import CATALOGUE, PREFIXES, REPO, ROLES, VARS, host, machine, preflight

NAME = re.compile(rf"\b(?:{'|'.join(PREFIXES)})\w+")


def test_inventory_that_is_right_has_no_findings() -> None:
    assert preflight(host("one", machine())) == []
    assert preflight(host("one", machine()), host("four", machine())) == []


def test_roles_have_their_prefixes() -> None:
    roles = {f"{folder.name}_" for folder in ROLES.iterdir() if folder.is_dir()}
    assert roles <= set(PREFIXES)


@pytest.mark.parametrize("name", sorted(CATALOGUE.options))
def test_options_begin_like_those_of_a_role(name: str) -> None:
    assert name.startswith(tuple(PREFIXES))


def used_in(*folders: Path) -> dict[str, Path]:
    """The variables that files set or use, each with one of the files."""
    return {
        name: path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix in {".yml", ".j2", ".py"}
        for name in NAME.findall(path.read_text())
        if name not in PREFIXES
    }


def test_variables_of_playbooks_and_inventories_are_known() -> None:
    used = used_in(REPO / "playbooks", REPO / "inventories")
    reserved = REPO / "playbooks" / "common" / "reserved_variables.yml"  # lists what nobody sets
    unknown = {name: path for name, path in used.items() if name not in CATALOGUE.options}
    assert {name: path for name, path in unknown.items() if path != reserved} == {}


def test_variables_beside_the_options_are_used_and_no_options() -> None:
    listed = set(VARS["_preflight_variables"])
    assert not listed & set(control_files.read_catalogue(ROLES, []).options)
    assert listed <= used_in(REPO / "playbooks", REPO / "inventories").keys()


def test_variables_that_are_checked_exist() -> None:
    used = used_in(Path(str(package.__file__)).parent)
    assert {name: path for name, path in used.items() if name not in CATALOGUE.options} == {}


def test_role_assumes_the_places_that_other_roles_have_by_default() -> None:
    tasks = yaml.safe_load((ROLES / "preflight/tasks/gather.yml").read_text())
    assumed = {
        name: default
        for text in tasks[0]["xian.workflow_backend.machine_facts"].values()
        for name, default in re.findall(r"(\w+) \| default\('([^']+)'\)", text)
    }
    assert assumed
    assert assumed == {name: CATALOGUE.default(name, {}) for name in assumed}
