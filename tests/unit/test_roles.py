"""Roles keep what they promise in their argument specs: names and defaults are those they have."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Template

ROLES = Path(__file__).parents[2] / "roles"


def options(role: str) -> dict[str, dict[str, Any]]:
    """The options of each entry point."""
    specs = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text())
    return {name: point["options"] for name, point in specs["argument_specs"].items()}


def defaults(role: str) -> dict[str, Any]:
    """The role's defaults; a role without any has no such file."""
    file = ROLES / role / "defaults" / "main.yml"
    return yaml.safe_load(file.read_text()) or {} if file.exists() else {}


def names() -> list[str]:
    """Every role."""
    return sorted(folder.name for folder in ROLES.iterdir() if folder.is_dir())


@pytest.mark.parametrize("role", names())
def test_a_default_is_the_same_in_the_spec_and_in_the_role(role: str) -> None:
    promised: dict[str, Any] = {}
    for point in options(role).values():
        given = {name: spec["default"] for name, spec in point.items() if "default" in spec}
        assert {name: promised.get(name, value) for name, value in given.items()} == given
        promised |= given
    assert promised == defaults(role)


@pytest.mark.parametrize("role", names())
def test_an_option_of_the_role_itself_is_demanded_or_has_a_default(role: str) -> None:
    unsure = {
        name
        for name, spec in options(role)["main"].items()
        if spec.get("required", False) == ("default" in spec)
    }
    # The first is needed only with an index; lifecycle has the defaults of the others.
    lifecycle = {f"upgrade_{name}" for name in ("blocks", "report", "seconds", "smoke")}
    assert unsure <= {"xian_node_index_dsn"} | lifecycle


@pytest.mark.parametrize("role", names())
def test_every_entry_point_that_others_use_has_a_spec_and_the_other_way_round(role: str) -> None:
    tasks = {file.stem for file in (ROLES / role / "tasks").glob("*.yml")}
    assert "main" in options(role)
    assert set(options(role)) <= tasks


def test_only_what_needs_private_keys_asks_for_them() -> None:
    asking = options("workflow_services")
    assert {point for point, given in asking.items() if "workflow_services_keys" in given} == {
        "main",
        "plan",
    }


@pytest.mark.parametrize("role", names())
def test_secrets_are_not_logged(role: str) -> None:
    for point in options(role).values():
        for name, spec in point.items():
            if name.endswith(("_key", "_keys", "_dsn")):
                assert spec["no_log"] is True, name


@pytest.mark.parametrize("role", names())
def test_a_truth_that_is_given_as_a_text_is_one(role: str) -> None:
    """`-e NAME=false` gives a text, which is true for whoever does not ask for its truth."""
    truths = [
        name
        for point in options(role).values()
        for name, spec in point.items()
        if spec.get("type") == "bool"
    ]
    used = re.compile(rf"\b({'|'.join(truths)})\b(?![:=])(?!( \| default\(\w+\))? \| bool\b)")
    found = [
        f"{path}: {match[0]}"
        for folder in ("tasks", "vars", "templates")
        for path in ROLES.glob(f"*/{folder}/**/*.*")
        for match in used.finditer(path.read_text())
        if truths
    ]
    assert found == []


@pytest.mark.parametrize("role", names())
def test_it_is_tried_out_on_hosts_through_the_stages_that_all_share(role: str) -> None:
    folder = ROLES / role / "molecule" / "default"
    assert (folder / "molecule.yml").is_file(), "docs/testing.md tells how to add it"
    config = yaml.safe_load((folder / "molecule.yml").read_text())
    assert config["scenario"] == {"name": "default"}
    assert "playbooks" not in config.get("ansible", {})
    assert (folder / "converge.yml").is_file()
    assert "def test_" in "".join(file.read_text() for file in (folder / "tests").glob("test_*.py"))


def tasks_of(content: Any) -> Iterator[dict[str, Any]]:
    """Every task in the content of a file of tasks or plays, those in blocks too."""
    for task in content or []:
        yield task
        for part in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from tasks_of(task.get(part))


def test_what_runs_on_the_control_machine_never_becomes_another_account() -> None:
    """`ansible_become` in an inventory beats the keyword `become`: only a task's own beats it."""
    files = [*ROLES.glob("*/tasks/**/*.yml"), *ROLES.glob("*/handlers/*.yml")]
    files += ROLES.parent.glob("playbooks/*.yml")
    local = {
        f"{file.relative_to(ROLES.parent)}: {task['name']}": task.get("vars", {})
        for file in files
        for task in tasks_of(yaml.safe_load(file.read_text()))
        if "localhost" in task.get("delegate_to", "") or "local_action" in task
    }
    assert len(local) > 30
    # An expression tells the control machine from a host, where either may run it.
    assert {name for name, given in local.items() if given.get("ansible_become", True) is True} == (
        set()
    )


def hosts_tasks() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every task that a role runs on a host, by where it stands."""
    for file in [*ROLES.glob("*/tasks/**/*.yml"), *ROLES.glob("*/handlers/*.yml")]:
        for task in tasks_of(yaml.safe_load(file.read_text())):
            if "localhost" not in task.get("delegate_to", ""):
                yield f"{file.relative_to(ROLES)}: {task['name']}", task


# Each takes a path, and follows the links that it finds on the way and at its end.
FOLLOWING = {
    *("assemble", "blockinfile", "copy", "fetch", "file", "find", "get_url", "lineinfile"),
    *("replace", "slurp", "template", "unarchive"),
}
FOLLOWS = {f"ansible.builtin.{name}": name for name in FOLLOWING} | {
    "xian.workflow_backend.bounded_fetch": "fetch"
}
# Below these nobody but root makes a name.
ROOTS_OWN = re.compile(
    r"(/etc/|\{\{ (_snapshots_(incoming|outgoing|uploaded|drill_incoming|timer_files)"
    r"|_xian_recovery_incoming|_release_arrived|snapshots_scratch)\b)"
)


def test_root_names_no_path_below_a_folder_that_an_account_may_write() -> None:
    """What is for an account, `text_files` and `account_files` do, or the account itself."""
    used = {
        f"{name}: {path}"
        for name, task in hosts_tasks()
        for name_of_module, module in FOLLOWS.items()
        if (given := task.get(name_of_module))
        for place in ("src", "path", "paths", "dest")
        if place in given and (place, module) not in {("src", "copy"), ("dest", "fetch")}
        for path in (
            task["loop"]
            if given[place] == "{{ item }}" and isinstance(task.get("loop"), list)
            else [task.get("loop")]
            if given[place] == "{{ item }}"
            else given[place]
            if isinstance(given[place], list)
            else [given[place]]
        )
    }
    assert len(used) > 10
    assert {path for path in used if not ROOTS_OWN.match(path.rsplit(": ", 1)[1])} == set()


AS_AN_ACCOUNT = re.compile(r"as_account|runuser|supervisorctl|_(ask|host_command)\b")


def test_root_waits_for_no_program_of_an_account_without_end() -> None:
    """An account can stop its own program, or hold a lock that the program waits for."""
    waiting = {
        name: module.rpartition(".")[2]
        for name, task in hosts_tasks()
        for module, given in task.items()
        if isinstance(given, dict)
        and AS_AN_ACCOUNT.search(str(given.get("argv", "")))
        and not task.get("timeout")
    }
    assert len(waiting) > 20
    # That module ends what takes too long.
    assert set(waiting.values()) == {"json_program"}, waiting


def test_program_of_a_snapshot_is_ended_by_systemd_before_root_gives_up() -> None:
    variables = yaml.safe_load((ROLES / "snapshots" / "vars" / "main.yml").read_text())
    assert "--property=RuntimeMaxSec=6h" in variables["_snapshots_run"]
    assert variables["_snapshots_seconds"] > 6 * 3600
    texts = [str(value) for name, value in variables.items() if name != "_snapshots_run"]
    assert sum("_snapshots_run + " in text for text in texts) == 2
    assert not [text for text in texts if "systemd-run" in text]
    given = [
        task["xian.workflow_backend.json_program"]
        for name, task in hosts_tasks()
        if name.startswith("snapshots/") and "xian.workflow_backend.json_program" in task
    ]
    through_systemd = [one for one in given if re.search("host_command|drill_command", str(one))]
    assert len(through_systemd) > 10
    assert {one.get("seconds") for one in through_systemd} == {"{{ _snapshots_seconds }}"}


def test_no_secret_is_in_the_arguments_or_the_environment_of_a_task() -> None:
    """Both stand in the command line of the shell that Ansible runs, for every account to read."""
    secret = re.compile(r"(dsn|password|private_key|_key|token)\b(?! is | else| if )")
    shown = {
        name
        for name, task in hosts_tasks()
        for module, given in task.items()
        if module == "environment" or isinstance(given, dict)
        for part in (
            [given] if module == "environment" else [given.get("argv"), given.get("environment")]
        )
        if part and secret.search(str(part))
    }
    assert shown == set()


@pytest.mark.parametrize(
    ("listens", "certificate", "url"),
    [
        ("127.0.0.1", "", "http://127.0.0.1:8000"),
        ("0.0.0.0", "a.pem", "https://127.0.0.1:8000"),  # noqa: S104
        ("::1", "", "http://[::1]:8000"),
        ("::", "a.pem", "https://[::1]:8000"),
        ("fd00::5", "a.pem", "https://[fd00::5]:8000"),
    ],
)
def test_the_url_of_an_api_brackets_an_ipv6_address(
    listens: str, certificate: str, url: str
) -> None:
    role = ROLES / "workflow_services"
    variables = yaml.safe_load((role / "vars" / "main.yml").read_text())
    given = {
        "workflow_services_api_host": listens,
        "workflow_services_api_certificate": certificate,
        "workflow_services_api_port": 8000,
    }
    name = Template(defaults("workflow_services")["workflow_services_api_name"]).render(given)
    text = Template(variables["_workflow_services_api_url"])
    assert text.render(given, workflow_services_api_name=name) == url


@pytest.mark.parametrize(("known", "confirm"), [(1, "1"), (2, "2"), (4, "2"), (0, "2")])
def test_snapshot_is_confirmed_by_two_nodes_of_a_network_whatever_the_inventory_names(
    tmp_path: Path, known: int, confirm: str
) -> None:
    """An inventory that names one host of several would have it confirm itself."""
    network: dict[str, Any] = {"hosts": {f"v{number}": {} for number in range(known)}}
    if known:
        (tmp_path / "network.json").write_text(json.dumps(network))
    play = {
        "hosts": "v0",
        "gather_facts": False,
        "vars_files": [
            str(ROLES / "snapshots" / part / "main.yml") for part in ("vars", "defaults")
        ],
        "tasks": [{"ansible.builtin.debug": {"msg": "agree={{ snapshots_agree }};"}}],
    }
    (tmp_path / "play.json").write_text(json.dumps([play]))
    groups = {"xian_node": {"hosts": {"v0": {"xian_network_directory": str(tmp_path)}}}}
    (tmp_path / "inventory.json").write_text(json.dumps(groups))
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "-i", "inventory.json"),
            "play.json",
        ],
        cwd=tmp_path,
        env=os.environ | {"ANSIBLE_CONFIG": str(ROLES.parent / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"agree={confirm};" in done.stdout, done.stdout + done.stderr
