"""Roles are separate: no circles, no private names of others, a spec for what others use."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).parents[2]
ROLES = REPO / "roles"
NAMES = sorted(folder.name for folder in ROLES.iterdir() if folder.is_dir())
PARTS = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")


def entry_points_used(content: Any) -> Iterator[tuple[str, str]]:
    """The roles that plays or tasks use, each with its entry point."""
    for task in content or []:
        for role in task.get("roles", []):
            yield role if isinstance(role, str) else role["role"], "main"
        for module in ("ansible.builtin.import_role", "ansible.builtin.include_role"):
            if module in task:
                name = task[module]["name"].rpartition(".")[2]
                yield name, task[module].get("tasks_from", "main")
        for part in PARTS:
            yield from entry_points_used(task.get(part))


def used_by(role: str) -> set[tuple[str, str]]:
    """The entry points of other roles that a role uses."""
    files = [*(ROLES / role).glob("tasks/**/*.yml"), *(ROLES / role).glob("handlers/*.yml")]
    used = {
        found for file in files for found in entry_points_used(yaml.safe_load(file.read_text()))
    }
    return {(name, point) for name, point in used if name != role}


def test_roles_use_each_other_in_one_direction() -> None:
    uses = {role: {name for name, _ in used_by(role)} for role in NAMES}
    while leaves := {role for role, others in uses.items() if not others}:
        uses = {role: others - leaves for role, others in uses.items() if role not in leaves}
    assert uses == {}, "these use each other in a circle"


@pytest.mark.parametrize("role", NAMES)
def test_role_reads_no_private_name_of_another(role: str) -> None:
    others = "|".join(name for name in NAMES if name != role)
    # `workflow_contract_x` is not the name of a role `workflow`: the longest name counts.
    private = re.compile(rf"\b_{{1,2}}(?:{others})_\w+")
    own = re.compile(rf"_{{1,2}}{role}_")
    read = {
        f"{file.relative_to(ROLES)}: {found}"
        for kind in ("tasks", "vars", "defaults", "templates", "handlers")
        for file in (ROLES / role / kind).glob("**/*.*")
        for found in private.findall(file.read_text())
        if not own.match(found)
    }
    assert read == set()


def test_each_entry_point_that_others_use_has_a_spec() -> None:
    files = [*REPO.glob("playbooks/*.yml"), *ROLES.glob("*/molecule/**/*.yml")]
    plays = [yaml.safe_load(file.read_text()) for file in files]
    used = {
        found
        for content in plays
        if isinstance(content, list)
        for found in entry_points_used(content)
    }
    used |= {found for role in NAMES for found in used_by(role)}
    specs = {
        role: yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text())[
            "argument_specs"
        ]
        for role in NAMES
    }
    # Some choose the step by an expression, among those that others name.
    missing = {
        (role, point) for role, point in used if "{{" not in point and point not in specs[role]
    }
    assert missing == set()


@pytest.mark.parametrize("role", NAMES)
def test_each_spec_is_of_an_entry_point_and_describes_it(role: str) -> None:
    specs = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text())
    for point, spec in specs["argument_specs"].items():
        assert (ROLES / role / "tasks" / f"{point}.yml").is_file(), point
        assert spec["short_description"], point
        assert all(given["description"] for given in (spec.get("options") or {}).values()), point


@pytest.mark.parametrize("role", NAMES)
def test_role_has_a_short_readme(role: str) -> None:
    lines = (ROLES / role / "README.md").read_text().splitlines()
    assert lines[0] == f"# {role}"
    assert 5 <= len(lines) <= 16


@pytest.mark.parametrize("role", NAMES)
def test_variables_hold_data_and_no_statements(role: str) -> None:
    assert [f for f in (ROLES / role).glob("vars/**/*.yml") if "{%" in f.read_text()] == []
