"""What every playbook does: it refuses where it would do nothing, or without its settings."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).parents[2]
HOSTS: dict[str, object] = {"one": {}, "two": {}}
PEERS = "--limit leaves out peers that take part"


def play(place: Path, name: str, *arguments: str, groups: dict[str, Any] | None = None) -> str:
    """Run one that fails before it reaches a host; return what it printed, in one line."""
    inventory = place / "inventory.json"
    inventory.write_text(json.dumps(groups or {"xian_node": {"hosts": HOSTS}}))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory)]
    done = subprocess.run(
        [*command, str(REPO / "playbooks" / f"{name}.yml"), *arguments],
        cwd=place,
        env=os.environ | {"ANSIBLE_CONFIG": str(REPO / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout
    return " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("bootstrap-state-sync", (), "Which host? -e xian_recovery_host=HOST, one of one, two."),
        ("bootstrap-state-sync", ("-e", "xian_recovery_host=nope"), "one, two; nope is none."),
        ("bootstrap-state-sync", ("-e", "xian_recovery_host=one", "--limit=one"), PEERS),
        ("drill", (), "The inventory has no host in the group drill"),
        (
            "drill",
            ("-e", "snapshots_from=/nowhere"),
            "The inventory has no host in the group drill",
        ),
    ],
)
def test_a_playbook_that_would_do_nothing_fails(
    tmp_path: Path, name: str, arguments: tuple[str, ...], message: str
) -> None:
    assert message in play(tmp_path, name, *arguments)


@pytest.mark.parametrize("name", ["deploy", "health", "restore-state-snapshot", "upgrade"])
def test_without_its_settings_a_playbook_says_what_to_do(tmp_path: Path, name: str) -> None:
    """In another folder Ansible finds no ansible.cfg, and would take facts for variables."""
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps({"xian_node": {"hosts": HOSTS}}))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory)]
    environment = {name: text for name, text in os.environ.items() if name != "ANSIBLE_CONFIG"}
    done = subprocess.run(
        [*command, str(REPO / "playbooks" / f"{name}.yml")],
        cwd=tmp_path,
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"start it in {REPO}, or set ANSIBLE_CONFIG={REPO}/ansible.cfg" in done.stdout
    assert "ok=0" in done.stdout


def test_an_inventory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Or health would end well where nothing was looked at."""
    absent = str(tmp_path / "absent")
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "-i", absent),
            str(REPO / "playbooks" / "health.yml"),
        ],
        env=os.environ | {"ANSIBLE_CONFIG": str(REPO / "ansible.cfg"), "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert absent in done.stderr


def test_a_failure_prints_its_text_once(tmp_path: Path) -> None:
    """With -v it says as well where in the roles it was."""
    tasks = [
        {"ansible.builtin.fail": {"msg": "the reason"}, "ignore_errors": True},
        {"ansible.builtin.debug": {"msg": "{{ absent_variable }}"}, "ignore_errors": True},
    ]
    play = {"hosts": "localhost", "gather_facts": False, "tasks": tasks}
    (tmp_path / "play.yml").write_text(json.dumps([play]))

    def output_of(*arguments: str) -> str:
        return subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "play.yml", *arguments],
            cwd=tmp_path,
            env=os.environ | {"ANSIBLE_CONFIG": str(REPO / "ansible.cfg")},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    plain = output_of()
    assert plain.count("the reason") == 1
    assert plain.count("is undefined") == 1
    assert "Origin: " not in plain
    assert "Origin: " in output_of("-v")


# What starts programs, or sets to work on a home with those of the release.
STARTING = {
    *(("program", verb) for verb in ("start", "restart")),
    *(("upgrade", part) for part in ("one_host", "all_together")),
    *(("lifecycle", f"start_{what}") for what in ("nodes", "services")),
    *(("lifecycle", verb) for verb in ("restart", "deploy_node")),
    *((role, "main") for role in ("postgres", "xian_node", "workflow_services")),
    ("snapshots", "restore"),
}
# These verify a release, the role itself before it makes it current.
VERIFYING = {("release", "verify"), ("release", "main")}


def parts_of(content: Any) -> Iterator[tuple[str, str]]:
    """The roles that plays or tasks use, in their order, with the entry point of each."""
    for task in content or []:
        for role in task.get("roles", []):
            yield role if isinstance(role, str) else role["role"], "main"
        for module in ("ansible.builtin.import_role", "ansible.builtin.include_role"):
            if module in task:
                yield task[module]["name"], task[module].get("tasks_from", "main")
        if "ansible.builtin.import_playbook" in task:
            other = REPO / "playbooks" / task["ansible.builtin.import_playbook"]
            yield from parts_of(yaml.safe_load(other.read_text()))
        for part in ("tasks", "pre_tasks", "block"):
            yield from parts_of(task.get(part))


@pytest.mark.parametrize(
    "playbook",
    sorted(file for file in (REPO / "playbooks").glob("*.yml") if not file.is_symlink()),
    ids=lambda p: p.stem,
)
def test_a_release_is_compared_before_anything_is_started_from_it(playbook: Path) -> None:
    parts = list(parts_of(yaml.safe_load(playbook.read_text())))
    starts = [place for place, part in enumerate(parts) if part in STARTING]
    verifies = [place for place, part in enumerate(parts) if part in VERIFYING]
    if starts:
        assert verifies, "it starts what nobody has compared"
        assert verifies[0] < starts[0]


@pytest.mark.parametrize("plan", ["plan_state_sync", "push_home"])
def test_recovery_compares_the_release_before_it_asks_its_programs(plan: str) -> None:
    tasks = REPO / "roles" / "xian_recovery" / "tasks"
    assert "import_tasks: status.yml" in (tasks / f"{plan}.yml").read_text()
    asked = yaml.safe_load((tasks / "status.yml").read_text())
    kinds = [next((key for key in task if "." in key), "") for task in asked]
    assert list(parts_of(asked)) == [("release", "verify")]
    assert kinds.index("ansible.builtin.include_role") < kinds.index(
        "xian.workflow_backend.json_program"
    )


def test_drill_compares_the_release_that_a_spare_host_had() -> None:
    parts = list(parts_of(yaml.safe_load((REPO / "playbooks" / "drill.yml").read_text())))
    assert parts.index(("release", "verify")) < parts.index(("snapshots", "drill"))


@pytest.mark.parametrize(
    ("groups", "looked_at"),
    [
        (("xian_node", "postgres"), {"releases", "node", "snapshots", "index"}),
        (("workflow_services",), {"releases", "projection"}),
        ((), {"releases"}),
    ],
    ids=lambda given: "-".join(sorted(given)),
)
def test_health_and_preflight_get_each_folder_that_fills_a_disk(
    tmp_path: Path, groups: tuple[str, ...], looked_at: set[str]
) -> None:
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = {"all": {"hosts": {"one": here}}} | {
        name: {"hosts": {"one": {}}} for name in groups
    }
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))
    asked = {"health": "_workflow_services_disks", "preflight": "_preflight_further"}
    tasks = [
        {
            "ansible.builtin.copy": {
                "content": f"{{{{ {name} | to_json }}}}",
                "dest": str(tmp_path / who),
            }
        }
        for who, name in asked.items()
    ]
    roles = REPO / "roles"
    files = [
        *(str(roles / "workflow_services" / kind / "main.yml") for kind in ("defaults", "vars")),
        str(roles / "preflight" / "vars" / "main.yml"),
    ]
    play = {"hosts": "one", "gather_facts": False, "vars_files": files, "tasks": tasks}
    (tmp_path / "play.json").write_text(json.dumps([play]))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "inventory.json", "play.json"],
        cwd=tmp_path,
        env=os.environ | {"ANSIBLE_CONFIG": str(REPO / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    disks = json.loads((tmp_path / "health").read_text())
    assert disks.keys() == looked_at
    assert all(folder.startswith("/") for folder in disks.values())
    del disks["releases"]  # preflight looks there on every host
    assert set(disks.values()) <= set(json.loads((tmp_path / "preflight").read_text()))


PLAYBOOKS = sorted(
    file
    for file in (REPO / "playbooks").glob("*.yml")
    if not file.is_symlink() and file.stem not in {"dev", "rollback"}  # they import these
)
RESERVED = yaml.safe_load((REPO / "playbooks" / "common" / "reserved_variables.yml").read_text())
GUARD = ("xian_node_seen", "double_sign_guard_peers_without_home", "double_sign_guard_verdict")


@pytest.mark.parametrize("file", PLAYBOOKS, ids=lambda file: file.stem)
def test_each_playbook_checks_the_inventory_before_anything_else(file: Path) -> None:
    first = yaml.safe_load(file.read_text())[0]
    assert first["ansible.builtin.import_playbook"] == "common/check_inventory.yml"


@pytest.mark.parametrize(
    ("name", "way"),
    [
        *((name, "extra") for name in GUARD),
        *(("__xian_node_home", way) for way in ("host", "file", "limit")),
        ("_double_sign_guard_peers", "group"),
    ],
)
def test_variable_that_opens_a_guard_is_refused_from_outside(
    tmp_path: Path, name: str, way: str
) -> None:
    value = {"answer": {"made": False}}
    arguments = ["--limit=two"] if way == "limit" else []
    if way == "extra":
        arguments += ["-e", json.dumps({name: value})]
    if way == "file":
        (tmp_path / "host_vars").mkdir()
        (tmp_path / "host_vars" / "one.yml").write_text(json.dumps({name: value}))
    one: dict[str, Any] = {name: value} if way in {"host", "limit"} else {}
    group: dict[str, Any] = {"hosts": {"one": one, "two": {}}}
    if way == "group":
        group["vars"] = {name: value}
    output = play(tmp_path, "push-home", *arguments, groups={"xian_node": group})
    assert f"{name}: only a run itself may set this" in output


def test_reserved_variables_are_all_that_roles_find_out_or_tell_themselves() -> None:
    assert RESERVED["reserved_variables_roles"] == sorted(
        folder.name for folder in (REPO / "roles").iterdir()
    )
    options = {
        name
        for file in (REPO / "roles").glob("*/meta/argument_specs.yml")
        for point in yaml.safe_load(file.read_text())["argument_specs"].values()
        for name in point.get("options", {})
    }
    found: set[str] = set()
    for file in (REPO / "roles").glob("*/tasks/**/*.yml"):
        tasks = yaml.safe_load(file.read_text())
        for task in tasks:
            tasks += [
                inner for part in ("block", "rescue", "always") for inner in task.get(part, [])
            ]
            found |= {task["register"]} if "register" in task else set()
            found |= task.get("vars", {}).keys() - options
            found |= task.get("ansible.builtin.set_fact", {}).keys()
    results = {name for name in found if not name.startswith(("_", "ansible_"))}
    assert len(results) > 10
    assert results <= set(RESERVED["reserved_variables_names"])


def test_node_that_an_upgrade_left_out_starts_with_no_new_release() -> None:
    """It may have stopped at an older block, which the new release might compute otherwise."""
    condition = "inventory_hostname not in upgrade_left_out | default({})"
    tasks = REPO / "roles" / "upgrade" / "tasks"
    switch = yaml.safe_load((tasks / "switch_release.yml").read_text())
    assert [task.get("when") for task in switch] == [None, condition]
    back = yaml.safe_load((tasks / "roll_back_all.yml").read_text())
    starting = next(task for task in back if "rescue" in task)["rescue"][0]
    assert (starting["ansible.builtin.include_role"]["tasks_from"], starting["when"]) == (
        *("start", condition),
    )
    smoke = yaml.safe_load((REPO / "playbooks" / "upgrade.yml").read_text())[-1]
    assert smoke["tasks"][0]["when"] == condition
