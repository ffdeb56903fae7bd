"""The guard of a new home asks on the control machine, whatever the inventory leaves out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .recovery.fake_chain import Chain, Served

REPO = Path(__file__).parents[2]
KEY = "ab" * 32


def allow_new_home(folder: Path, known: list[str], named: list[str], **variables: object) -> str:
    """Ask whether the first of the named hosts may get a home, in a network of those known."""
    hosts = {
        name: {"public_key": KEY[2:] + f"{number:02x}", "node_id": f"{number:040x}", "power": 10}
        for number, name in enumerate(known)
    }
    (folder / "network.json").write_text(json.dumps({"chain_id": "c", "hosts": hosts}))
    role = {"name": "double_sign_guard", "tasks_from": "allow_new_home"}
    task = {"name": "Ask", "ansible.builtin.import_role": role}
    play = {"hosts": named[0], "gather_facts": False, "tasks": [task]}
    (folder / "play.json").write_text(json.dumps([play]))
    given = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "xian_network_directory": str(folder),
        "double_sign_guard_peers_without_home": named[1:],
        **variables,
    }
    inventory = {"xian_node": {"hosts": {name: {} for name in named}, "vars": given}}
    (folder / "inventory.json").write_text(json.dumps(inventory))
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "-i", "inventory.json"),
            "play.json",
        ],
        cwd=folder,
        env=os.environ | {"ANSIBLE_CONFIG": str(REPO / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_first_deployment_of_all_hosts_needs_no_word(tmp_path: Path) -> None:
    said = allow_new_home(tmp_path, ["one", "two"], ["one", "two"])
    assert "failed=0" in said, said


@pytest.mark.parametrize("named", [["one"], ["one", "two"]])
def test_host_of_the_network_that_the_inventory_lacks_is_named(
    tmp_path: Path, named: list[str]
) -> None:
    said = allow_new_home(tmp_path, ["one", "two", "three"], named)
    assert "failed=1" in said, said
    assert "three" in said.split("does not name")[1].split("of its network")[0]
    said = allow_new_home(tmp_path, ["one", "two", "three"], named, xian_recovery_sure=True)
    assert "failed=0" in said, said


def test_host_that_had_a_home_is_asked_though_it_says_that_it_has_none(tmp_path: Path) -> None:
    """What a host says of its home must not keep the guard from asking its node."""
    hosts = ["one", "two"]
    with Served(Chain(chain_id="c"), "b") as node:
        address = {"xian_node_rpc_address": node.url.removeprefix("http://")}
        said = allow_new_home(tmp_path, hosts, hosts, **address)
        assert "failed=0" in said, said
        (tmp_path / "homes").mkdir()
        (tmp_path / "homes" / "two").write_text("2026-01-01 00:00 UTC\n")
        said = allow_new_home(tmp_path, hosts, hosts, **address)
    assert "failed=1" in said, said
    assert "one has no home, and its chain has 10 blocks" in said, said
