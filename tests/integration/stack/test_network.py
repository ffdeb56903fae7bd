"""The playbook that prepares a network, as an operator runs it for several hosts."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from toolchain_harness import REPO
from xian_py import Wallet

BIN = Path(sys.executable).parent
VAULT = b"$ANSIBLE_VAULT;"
SECRETS = (
    "operator.json",
    "operator.token",
    "hosts/*/node_key.json",
    "hosts/*/priv_validator_key.json",
    "wallets/*.key",
    "snapshots/*.key",
)


class Operator:
    """An inventory in a folder of its own; its hosts do not exist, and nobody asks them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.network = folder / "network"
        (folder / "password").write_text("correct horse\n")
        self.nodes: dict[str, dict[str, Any]] = {
            "alpha": {"xian_node_p2p_address": "10.0.0.1:26656"},
            "beta": {"xian_node_p2p_address": "10.0.0.2:26656"},
            "gamma": {"xian_network_power": 0},
        }
        self.services: dict[str, dict[str, Any]] = {
            "alpha": {"workflow_services_names": ["api", "projector"]},
            "beta": {},
        }
        self.variables: dict[str, Any] = {
            "ansible_become": True,  # for the hosts: no host is asked, and here nobody becomes root
            "ansible_become_exe": "/bin/false",
            "xian_network_directory": "{{ inventory_dir }}/network",
            "xian_network_chain_id": "prepared-1",
        }

    def run(self, playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook."""
        inventory = {
            "all": {
                "vars": self.variables,
                "children": {
                    "xian_node": {"hosts": self.nodes},
                    "workflow_services": {"hosts": self.services},
                },
            }
        }
        (self.folder / "hosts.json").write_text(json.dumps(inventory))
        return subprocess.run(
            [BIN / "ansible-playbook", "-i", "hosts.json", playbook, *arguments],
            cwd=self.folder,
            env=os.environ
            | {
                "ANSIBLE_CONFIG": str(REPO / "ansible.cfg"),
                # Otherwise root, who is root already, would not see a task that becomes root.
                "ANSIBLE_BECOME_ALLOW_SAME_USER": "true",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def prepare(self, *arguments: str) -> str:
        """Prepare the network, which must go well; return what was said."""
        done = self.run(str(REPO / "playbooks" / "prepare-network.yml"), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """Prepare the network, which must be refused; return what was said."""
        done = self.run(str(REPO / "playbooks" / "prepare-network.yml"), *arguments)
        assert done.returncode == 2, done.stdout + done.stderr
        return done.stdout

    def contents(self) -> dict[str, bytes]:
        """Every file of the network's folder."""
        files = (path for path in self.network.rglob("*") if path.is_file())
        return {str(path.relative_to(self.network)): path.read_bytes() for path in files}

    def secrets(self) -> list[Path]:
        """The files that hold keys."""
        return [path for pattern in SECRETS for path in self.network.glob(pattern)]


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def changed(output: str) -> int:
    """How many tasks changed anything."""
    return sum(int(number) for number in re.findall(r"changed=(\d+)", output))


WITH_PASSWORD = ("--vault-password-file", "password")


def test_a_network_for_several_hosts_in_plain_files(operator: Operator) -> None:
    output = operator.prepare("--check", "--diff")
    assert changed(output) == 4
    assert "Now: " not in output
    assert not operator.network.exists()
    output = operator.prepare()
    assert changed(output) == 4
    assert "The 15 keys in" in output
    assert "--vault-password-file" in output
    assert f"{operator.network} holds the genesis and every key of prepared-1" in output
    assert f"Now: ansible-playbook -i {operator.folder}/hosts.json playbooks/deploy.yml" in output
    before = operator.contents()
    network = json.loads(before["network.json"])
    assert {name: host["power"] for name, host in network["hosts"].items()} == {
        "alpha": 10,
        "beta": 10,
        "gamma": 0,
    }
    wallets = json.loads(before["wallets/wallets.json"])
    assert wallets == {
        name: Wallet(before[f"wallets/{name}.key"].decode().strip()).public_key
        for name in ("api-alpha", "api-beta", "processor-beta")
    }
    modes = {oct(path.stat().st_mode & 0o777) for path in operator.network.rglob("*")}
    assert modes == {"0o600", "0o700"}
    for arguments in ((), ("--check", "--diff")):
        assert changed(operator.prepare(*arguments)) == 0
    assert operator.contents() == before

    # A password that comes later encrypts what is there.
    assert changed(operator.prepare("--check", *WITH_PASSWORD)) == 1
    assert operator.contents() == before
    assert changed(operator.prepare(*WITH_PASSWORD)) == 1
    assert all(path.read_bytes().startswith(VAULT) for path in operator.secrets())
    assert operator.contents().keys() == before.keys()


def test_a_network_with_encrypted_keys(operator: Operator) -> None:
    output = operator.prepare(*WITH_PASSWORD)
    assert changed(output) == 5
    assert "plain files" not in output
    assert len(operator.secrets()) == 15
    before = operator.contents()
    encrypted = {path for path, content in before.items() if content.startswith(VAULT)}
    assert encrypted == {str(path.relative_to(operator.network)) for path in operator.secrets()}
    modes = {oct(path.stat().st_mode & 0o777) for path in operator.network.rglob("*")}
    assert modes == {"0o600", "0o700"}
    for arguments in (WITH_PASSWORD, ("--check", "--diff", *WITH_PASSWORD), ()):
        assert changed(operator.prepare(*arguments)) == 0
    assert operator.contents() == before

    # Another host and another service: what is new is made and encrypted, the rest stays.
    operator.nodes["delta"] = {"xian_network_power": 0}
    operator.services["delta"] = {"workflow_services_names": ["processor", "handlers"]}
    operator.prepare(*WITH_PASSWORD)
    after = operator.contents()
    public = {"network.json", "wallets/wallets.json", "snapshots/wallets.json"}
    assert {name: after[name] for name in before if name not in public} == {
        name: content for name, content in before.items() if name not in public
    }
    assert set(json.loads(after["wallets/wallets.json"])) == {
        "api-alpha",
        "api-beta",
        "processor-beta",
        "processor-delta",
    }
    assert after["hosts/delta/priv_validator_key.json"].startswith(VAULT)
    assert after["wallets/processor-delta.key"].startswith(VAULT)

    (operator.folder / "password").write_text("wrong\n")
    assert "the vault password of this run does not open" in operator.refused(*WITH_PASSWORD)
    assert operator.contents() == after


READS: list[dict[str, Any]] = [
    {
        "hosts": "alpha",
        "gather_facts": False,
        "vars": {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
            "network": "{{ lookup('ansible.builtin.file', folder ~ '/network.json') | from_json }}",
            "folder": "{{ xian_network_directory }}",
        },
        "tasks": [
            {
                "ansible.builtin.copy": {
                    "src": "{{ folder }}/hosts/alpha/",
                    "dest": "{{ inventory_dir }}/there/",
                    "mode": "0600",
                    "directory_mode": "0700",
                }
            },
            {
                "ansible.builtin.copy": {
                    "content": "{{ {'operator': operator, 'peers': peers} | to_json }}",
                    "dest": "{{ inventory_dir }}/there/read.json",
                    "mode": "0600",
                },
                "vars": {
                    "operator": "{{ lookup('ansible.builtin.file', folder ~ '/operator.json')"
                    " | from_json }}",
                    "peers": "{{ network"
                    " | xian.workflow_backend.node_peers(hostvars, inventory_hostname) }}",
                },
            },
        ],
    }
]


def test_what_was_encrypted_is_read_by_the_playbooks(operator: Operator) -> None:
    operator.variables["xian_network_peers"] = [f"{'0' * 40}@peer.example:26656"]
    operator.prepare(*WITH_PASSWORD)
    (operator.folder / "reads.json").write_text(json.dumps(READS))
    done = operator.run("reads.json", *WITH_PASSWORD)
    assert done.returncode == 0, done.stdout
    there = operator.folder / "there"
    network = json.loads((operator.network / "network.json").read_text())
    read = json.loads((there / "read.json").read_text())
    assert Wallet(read["operator"]["private_key"]).public_key == network["operator"]
    assert read["peers"] == [
        f"{'0' * 40}@peer.example:26656",
        f"{network['hosts']['beta']['node_id']}@10.0.0.2:26656",
    ]
    for name in ("node_key.json", "priv_validator_key.json"):
        assert "priv_key" in json.loads((there / name).read_text())


def test_a_network_that_is_there_is_joined(operator: Operator, tmp_path: Path) -> None:
    operator.prepare()
    genesis = operator.network / "genesis.json"
    (tmp_path / "joining").mkdir()
    joining = Operator(tmp_path / "joining")
    joining.nodes = {"delta": {}, "beta": {"xian_network_home": str(genesis.parent / "hosts/beta")}}
    joining.services = {"delta": {}}
    joining.variables["xian_network_genesis"] = str(genesis)
    assert changed(joining.prepare("--check")) == 4
    assert not joining.network.exists()
    assert changed(joining.prepare()) == 4
    assert changed(joining.prepare()) == 0
    theirs = json.loads((operator.network / "network.json").read_text())
    ours = json.loads((joining.network / "network.json").read_text())
    assert ours["genesis_sha256"] == theirs["genesis_sha256"]
    assert ours["hosts"]["beta"] == theirs["hosts"]["beta"]
    assert ours["hosts"]["delta"]["power"] == 0
    assert not (joining.network / "operator.json").exists()
    joining.variables["xian_network_chain_id"] = "another-1"
    assert "holds network prepared-1, not another-1" in joining.refused()


def test_deployment_makes_the_token_that_a_network_lacks_and_says_so(operator: Operator) -> None:
    vault = ("--vault-password-file", "password")
    operator.prepare(*vault)
    token = operator.network / "operator.token"
    before = token.read_bytes()
    role = {"name": "workflow_services", "tasks_from": "create_operator_token"}
    play = operator.folder / "token.json"
    tasks = [{"name": "Token", "ansible.builtin.include_role": role}]
    hosts = {"name": "Token", "hosts": "workflow_services", "gather_facts": False}
    play.write_text(json.dumps([hosts | {"tasks": tasks}]))

    def deploy() -> str:
        done = operator.run(str(play), *vault)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    deploy()
    assert token.read_bytes() == before
    token.unlink()
    output = " ".join(deploy().split())
    assert "answer only who shows a token from now on" in output
    assert str(token) in output
    assert token.read_bytes().startswith(VAULT)
    assert token.stat().st_mode & 0o777 == 0o600
    assert "xwb_" not in output
