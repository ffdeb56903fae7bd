"""A drill leaves nothing on the control machine, also where a host refuses or lies."""

import getpass
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

REPO = Path(__file__).parents[2]


def fetch_newest(folder: Path, listed: str, temporary: str) -> str:
    """Fetch the newest snapshot of a host that lists one, and whose files can't be had."""
    command = folder / "host-command"
    command.write_text(f"#!/bin/sh\ncat {folder}/listed.json\n")
    command.chmod(0o700)
    (folder / "listed.json").write_text(listed)
    role = {"name": "snapshots", "tasks_from": "fetch_newest"}
    play = {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"name": "Fetch", "ansible.builtin.import_role": role}],
    }
    (folder / "play.json").write_text(json.dumps([play]))
    (folder / "network").mkdir()
    (folder / "network" / "network.json").write_text('{"chain_id": "c", "hosts": {}}')
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "program_manager": "supervisor",
        "program_as_account": [],
        "program_root": str(folder),
        "snapshots_command": str(command),
        "snapshots_account": getpass.getuser(),
        "snapshots_directory": str(folder / "snapshots"),
        "xian_network_directory": str(folder / "network"),
        "xian_network_chain_id": "c",
    }
    inventory = {
        "all": {"vars": variables},
        "xian_node": {"hosts": {"one": {}}},
        "drill": {"hosts": {"one": {}}},
    }
    (folder / "inventory.json").write_text(json.dumps(inventory))
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "-i", "inventory.json"),
            "play.json",
        ],
        cwd=folder,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(REPO / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "TMPDIR": temporary,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_fetch_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    """The host lists a snapshot and has none of its files."""
    listed = {"snapshots": [{"path": f"{tmp_path}/snapshots/absent", "signed": False}]}
    # Ansible listens on a socket in it, whose path is too long below pytest's own folder.
    with tempfile.TemporaryDirectory(prefix="d-") as temporary:
        said = fetch_newest(tmp_path, json.dumps(listed), temporary)
        left = list(Path(temporary).glob("drill-*"))
    assert "failed=1" in said, said
    assert "Create a folder for it on the control machine" in said
    assert said.count("No such file or directory") == 2, said  # at its task and as the reason
    assert left == []


def test_host_that_is_lost_meanwhile_leaves_no_copy() -> None:
    """A block ends without its last part where a host can't be reached, unless it goes on."""
    file = REPO / "roles" / "snapshots" / "tasks" / "drill" / "run_drill.yml"
    block = next(task for task in yaml.safe_load(file.read_text()) if "always" in task)
    assert block["ignore_unreachable"] is True
    assert block["always"][-1]["name"] == "Remove the snapshot from the control machine"


def test_snapshot_is_fetched_once_the_spare_host_has_its_release() -> None:
    """Or a host that can't be prepared would leave it here."""
    plays = yaml.safe_load((REPO / "playbooks" / "drill.yml").read_text())
    names = [play["name"] for play in plays]
    assert names[-3:] == ["(1/3) Release", "(2/3) Newest snapshot", "(3/3) Drill"]
