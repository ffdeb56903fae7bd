"""Where nothing is wrong nothing is found, and what preflight knows is what the roles have."""

import re
from pathlib import Path

import pytest
import yaml

import workflow_backend.operations.preflight as package
from workflow_backend.operations.preflight import reading

from .made import CATALOGUE, PREFIXES, REPO, ROLES, VARS, found, host, machine

NAME = re.compile(rf"\b(?:{'|'.join(PREFIXES)})\w+")


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert found(host("one", machine())) == []
    assert found(host("one", machine()), host("four", machine())) == []


def test_every_role_has_its_prefix() -> None:
    roles = {f"{folder.name}_" for folder in ROLES.iterdir() if folder.is_dir()}
    assert roles <= set(PREFIXES)


@pytest.mark.parametrize("name", sorted(CATALOGUE.options))
def test_every_option_begins_as_one_of_a_role(name: str) -> None:
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


def test_every_variable_of_playbooks_and_inventories_is_known() -> None:
    used = used_in(REPO / "playbooks", REPO / "inventories")
    assert {name: path for name, path in used.items() if name not in CATALOGUE.options} == {}


def test_what_is_listed_beside_the_options_is_no_option_and_is_used() -> None:
    listed = set(VARS["_preflight_variables"])
    assert not listed & set(reading.catalogue(ROLES, []).options)
    assert listed <= used_in(REPO / "playbooks", REPO / "inventories").keys()


def test_every_variable_that_is_judged_exists() -> None:
    used = used_in(Path(str(package.__file__)).parent)
    assert {name: path for name, path in used.items() if name not in CATALOGUE.options} == {}


def test_the_role_assumes_the_places_that_other_roles_have_by_default() -> None:
    tasks = yaml.safe_load((ROLES / "preflight/tasks/machines.yml").read_text())
    assumed = {
        name: default
        for text in tasks[0]["machine_facts"].values()
        for name, default in re.findall(r"(\w+) \| default\('([^']+)'\)", text)
    }
    assert assumed
    assert assumed == {name: CATALOGUE.default(name, {}) for name in assumed}
