"""The collection: built, installed into an empty folder and used from another project."""

import json
import re
import sys
from pathlib import Path

import pytest
from collection_harness import NAME, REPO, Project

HOST = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
GROUPS = ("xian_node", "postgres", "workflow_services")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def inventory(project: Project) -> Path:
    variables = {
        "xian_network_chain_id": "chain-of-another-project-1",
        "xian_network_directory": str(project.folder / "network"),
        "xian_network_unencrypted": True,
    }
    groups = {group: {"hosts": {"one": HOST}} for group in GROUPS}
    file = project.folder / "hosts.json"
    file.write_text(json.dumps(groups | {"all": {"vars": variables}}))
    return file


def installed(project: Project) -> Path:
    return project.collections / "ansible_collections" / "xian" / "workflow_backend"


def test_collection_holds_what_an_operator_needs_and_nothing_of_a_clone(project: Project) -> None:
    names = {path.name for path in installed(project).iterdir()} - {"MANIFEST.json", "FILES.json"}
    assert names == {
        *("README.md", "SECURITY.md", "LICENSE", "contracts", "docs", "inventories"),
        *("meta", "playbooks", "plugins", "roles"),
    } | ({"CHANGELOG.md"} & {path.name for path in REPO.iterdir()})
    assert not list(installed(project).glob("roles/*/molecule"))


def test_collection_has_the_version_of_the_package(project: Project) -> None:
    manifest = json.loads((installed(project) / "MANIFEST.json").read_text())
    version = re.search(r'(?m)^version = "(.+)"', (REPO / "pyproject.toml").read_text())
    assert version
    assert manifest["collection_info"]["version"] == version[1]


@pytest.mark.parametrize(
    "playbook",
    sorted(
        file.stem.replace("-", "_")
        for file in (REPO / "playbooks").glob("*.yml")
        if file.stem != "dev" and not file.is_symlink()
    ),
)
def test_playbook_is_known_by_its_full_name(
    project: Project, inventory: Path, playbook: str
) -> None:
    listed = project.play(playbook, inventory, "--list-tasks")
    assert listed.returncode == 0, listed.stderr


def test_deployment_by_full_name_reaches_its_verdict_on_the_inventory(
    project: Project, inventory: Path
) -> None:
    """The network is made for real; then preflight finds what this machine can't be."""
    made = project.play("prepare_network", inventory)
    assert made.returncode == 0, made.stdout
    assert f"{NAME}.deploy" in made.stdout
    genesis = json.loads((project.folder / "network" / "genesis.json").read_text())
    assert genesis["chain_id"] == "chain-of-another-project-1"
    deployed = project.play("deploy", inventory, "--check")
    assert deployed.returncode == 2, deployed.stdout
    assert "there is no release" in deployed.stdout
    assert "Traceback" not in deployed.stdout + deployed.stderr


def test_playbook_refuses_a_project_that_takes_facts_for_variables(
    project: Project, inventory: Path
) -> None:
    project.configure("")
    try:
        refused = project.play("health", inventory)
    finally:
        project.configure("inject_facts_as_vars = false")
    assert refused.returncode == 2, refused.stdout
    assert "inject_facts_as_vars = false" in refused.stdout


def test_callback_of_the_collection_prints_a_failure_once(project: Project) -> None:
    nobody = project.folder / "nobody.yml"
    nobody.write_text("all: {hosts: {one: {}}}\n")
    settings = "inject_facts_as_vars = false"
    reason = "The inventory has no host in its groups"
    try:
        times = []
        for more in ("", f"\nstdout_callback = {NAME}.readable"):
            project.configure(settings + more)
            refused = project.play("health", nobody)
            assert refused.returncode == 2, refused.stdout
            times.append(refused.stdout.count(reason))
    finally:
        project.configure(settings)
    assert times == [2, 1]


def documented(project: Project, kind: str) -> dict[str, object]:
    listed = project.run("ansible-doc", "-t", kind, "--list", "--json", NAME)
    assert listed.returncode == 0, listed.stderr
    answer: dict[str, object] = json.loads(listed.stdout)
    return answer


def test_every_role_and_plugin_is_documented(project: Project) -> None:
    roles = {path.name for path in (REPO / "roles").iterdir() if path.is_dir()}
    assert documented(project, "role").keys() == {f"{NAME}.{role}" for role in roles}
    modules = {path.stem for path in (REPO / "plugins" / "modules").glob("*.py")}
    assert documented(project, "module").keys() == {f"{NAME}.{module}" for module in modules}
    shown = project.run("ansible-doc", "-t", "module", "--json", *documented(project, "module"))
    assert shown.returncode == 0, shown.stderr
    assert all(entry["doc"]["description"] for entry in json.loads(shown.stdout).values())
    used = {
        name
        for file in (REPO / "roles").glob("**/*.yml")
        for name in re.findall(rf"\| {NAME}\.(\w+)", file.read_text(encoding="utf-8"))
    }
    filters = documented(project, "filter")
    assert filters.keys() >= {f"{NAME}.{name}" for name in used}
    assert all(filters.values())


def test_action_has_the_documentation_of_a_module() -> None:
    actions = {path.stem for path in (REPO / "plugins" / "action").glob("*.py")}
    modules = {path.stem for path in (REPO / "plugins" / "modules").glob("*.py")}
    assert actions
    assert actions <= modules
