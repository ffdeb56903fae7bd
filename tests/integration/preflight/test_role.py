"""The role in a play: one report of every problem of every host, before anything is changed."""

import json
import os
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from processes import free_port
from toolchain_harness import REPO

BIN = Path(sys.executable).parent
PLAYBOOK = """
- name: (1/2) Preflight
  hosts: all
  gather_facts: false
  roles: [preflight]
- name: (2/2) The first change
  hosts: all
  gather_facts: false
  tasks:
    - name: Change
      ansible.builtin.file: {path: "{{ folder }}/changed", state: touch, mode: "0600"}
"""
NODE = """
- name: Node
  hosts: all
  gather_facts: false
  roles: [xian_node]
"""
PASSWORD = "correct horse battery staple"


def key(of: str) -> str:
    return sha256(of.encode()).hexdigest()


class Made:
    """An inventory in a folder, with the playbook beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "inventory"
        self.changed = folder / "changed"
        self.variables: dict[str, Any] = {}
        self.hosts: dict[str, dict[str, Any]] = {}
        self.groups = {
            name: ["one", "two"] for name in ("xian_node", "postgres", "workflow_services")
        }
        (self.inventory / "group_vars/all").mkdir(parents=True)
        (folder / "playbooks").mkdir()
        (folder / "playbooks/deploy.yml").write_text(PLAYBOOK)
        (folder / "vault-password").write_text(PASSWORD)

    def network(self, *names: str, **other: Any) -> None:
        """Write a network folder that knows the hosts."""
        hosts = {
            name: {"public_key": key(name), "node_id": key(name)[:40], "power": 10}
            for name in names
        }
        content = {"chain_id": "net-1", "genesis_sha256": key("genesis"), "hosts": hosts, **other}
        (self.folder / "network").mkdir(mode=0o700, exist_ok=True)
        (self.folder / "network/network.json").write_text(json.dumps(content))

    def secrets(self, encrypted: bool, **secrets: Any) -> None:
        """Write a file of secrets, with Ansible Vault where it is to be encrypted."""
        file = self.inventory / "group_vars/all/secrets.yml"
        file.write_text(yaml.safe_dump(secrets))
        if encrypted:
            self.run("ansible-vault", "encrypt", "--vault-password-file", "vault-password", file)

    def preflight(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the playbook."""
        groups = {name: {"hosts": dict.fromkeys(hosts)} for name, hosts in self.groups.items()}
        (self.inventory / "hosts.yml").write_text(
            yaml.safe_dump({"all": {"hosts": self.hosts, "children": groups}})
        )
        (self.inventory / "group_vars/all/common.yml").write_text(yaml.safe_dump(self.variables))
        vault = ["--vault-password-file", "vault-password"]
        return self.run(
            "ansible-playbook", "-i", "inventory", *vault, "playbooks/deploy.yml", *arguments
        )

    def run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program of Ansible in the folder."""
        return subprocess.run(
            [BIN / program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(REPO / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                "COLUMNS": "250",
            },
        )


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Two hosts, both this machine, in which nothing is wrong."""
    made = Made(tmp_path)
    made.network("one", "two")
    for name in ("one", "two"):
        ports = [free_port() for _ in range(5)]
        made.hosts[name] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "xian_node_rpc_address": f"127.0.0.1:{ports[0]}",
            "xian_node_p2p_address": f"127.0.0.1:{ports[1]}",
            "xian_node_metrics_address": f"127.0.0.1:{ports[2]}",
            "xian_node_cometbft_metrics_address": f"127.0.0.1:{ports[3]}",
            "workflow_services_api_port": ports[4],
        }
    made.variables = {
        "folder": str(tmp_path),
        "program_manager": "supervisor",
        "program_account": "nobody",
        "program_root": str(tmp_path / "data"),
        "xian_node_home": str(tmp_path / "data/node/.cometbft"),
        "xian_network_directory": f"{tmp_path}/network",
        "xian_network_chain_id": "net-1",
        "xian_network_unencrypted": True,
        "workflow_services_keys": "{{ secret_keys[inventory_hostname] }}",
    }
    keys = {name: {"processor": key(f"p{name}"), "api": key(f"a{name}")} for name in made.hosts}
    made.secrets(True, secret_keys=keys)
    return made


def reported(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of the report with the findings, without the columns' padding."""
    lines = [" ".join(line.split()) for line in (done.stdout + done.stderr).splitlines()]
    return [line for line in lines if line.startswith(("PROBLEM", "WARNING"))]


@pytest.mark.parametrize("mode", [[], ["--check", "--diff"]])
def test_preflight_passes_a_good_inventory_and_changes_nothing(made: Made, mode: list[str]) -> None:
    done = made.preflight(*mode)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not [line for line in reported(done) if line.startswith("PROBLEM")]
    assert made.changed.exists() is not bool(mode)


def test_preflight_reports_all_problems_before_anything_is_changed(
    made: Made, tmp_path: Path
) -> None:
    made.network("one", "three")
    handed = made.folder / "network/hosts/one/priv_validator_key.json"
    handed.parent.mkdir(parents=True)
    public = b64encode(bytes.fromhex(key("three"))).decode()
    handed.write_text(json.dumps({"pub_key": {"value": public}}))
    secret = "hunter2-hunter2"
    made.secrets(
        False,
        secret_keys={name: {"processor": key("s"), "api": key("s")} for name in made.hosts},
        workflow_services_projection_dsn=f"postgresql://jobs:{secret}@db.example/jobs",
        xian_node_index_dsn="postgresql://xian:postgres@db.example/xian",
    )
    made.variables["xian_node_block_polcy"] = "on_demand"
    made.hosts["two"] |= {"xian_node_fee_mode": "paid_metered"}
    made.hosts["two"]["workflow_services_report"] = "{{ lookup('file', '/no/such') }}"
    made.hosts["two"]["workflow_services_api_host"] = "0.0.0.0"  # noqa: S104
    handlers = tmp_path / "handlers.toml"
    handlers.write_text('[job]\nhandler = "ecko"\n')
    made.hosts["two"]["workflow_services_handlers"] = str(handlers)
    writers = ["processor on one", "api on one", "processor on two", "api on two"]
    done = made.preflight("-vvv")
    lines = reported(done)
    for expected in (
        "PROBLEM all hosts variables no role knows xian_node_block_polcy",
        "PROBLEM two variables can't be evaluated: workflow_services_report",
        f"PROBLEM two network the network net-1 in {tmp_path}/network does not know this host",
        f"PROBLEM all hosts wallets {' and '.join(writers)} have the same wallet",
        "PROBLEM all hosts passwords the password in xian_node_index_dsn is a well-known word",
        "PROBLEM two exposure the API listens on 0.0.0.0 and asks nobody for a token",
    ):
        assert expected in lines, lines
    assert any("xian_node_fee_mode differs" in line for line in lines)
    wrong = f"PROBLEM two handlers {handlers}: [job] handler must be one of"
    assert any(line.startswith(wrong) for line in lines)
    assert any(line.startswith("PROBLEM one identity hosts/one/priv_valid") for line in lines)
    plain = [line for line in lines if line.endswith("is in plain text")]
    assert any(line.endswith("workflow_services_projection_dsn is in plain text") for line in plain)
    assert any("secret_keys" in line for line in plain)
    assert done.returncode != 0
    assert not made.changed.exists()
    assert secret not in done.stdout + done.stderr
    assert key("s") not in done.stdout + done.stderr


def refusing(folder: Path) -> Path:
    """A program that answers as ssh does where the key is not known."""
    program = folder / "ssh"
    program.write_text("#!/bin/sh\necho 'root@two: Permission denied (publickey).' >&2\nexit 255\n")
    program.chmod(0o700)
    return program


def test_hosts_that_can_not_be_asked_are_lines_of_the_report(made: Made, tmp_path: Path) -> None:
    made.hosts["two"] |= {
        "ansible_connection": "ssh",
        "ansible_host": "127.0.0.1",
        "ansible_ssh_executable": str(refusing(tmp_path)),
    }
    for name in ("three", "four"):
        made.hosts[name] = dict(made.hosts["one"])
    made.hosts["three"]["ansible_python_interpreter"] = "/no/python3"
    made.hosts["four"]["xian_node_keep_blocks"] = "some"
    made.hosts["four"]["xian_network_directory"] = "{{ lookup('file', '/no/such') }}"
    done = made.preflight()
    lines = reported(done)
    assert any(line.startswith("PROBLEM two reach") and "publickey" in line for line in lines)
    assert any(line.startswith("PROBLEM three reach") for line in lines)
    assert any(line.startswith("PROBLEM four variables xian_node_keep_blocks") for line in lines)
    lost = "workflow_services_keys, xian_network_directory"
    assert f"PROBLEM four variables can't be evaluated: {lost}" in lines
    assert done.returncode != 0
    assert not made.changed.exists()


def test_accepted_problem_is_shown_and_the_deployment_goes_on(made: Made) -> None:
    made.variables["workflow_services_projection_dsn"] = "postgresql://jobs:jobs@127.0.0.1/jobs"
    refused = made.preflight()
    problems = [line for line in reported(refused) if line.startswith("PROBLEM all hosts")]
    assert {line.split()[3] for line in problems} == {"passwords", "vault"}
    assert refused.returncode != 0
    made.variables["preflight_accepted"] = ["passwords", "vault"]
    done = made.preflight()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is the name of the account or the database" in done.stdout
    assert made.changed.exists()


def test_rehearsal_may_come_before_the_network(made: Made) -> None:
    (made.folder / "playbooks/deploy.yml").write_text(PLAYBOOK + NODE)
    (made.folder / "network/network.json").unlink()
    made.variables["workflow_contract_operator_key"] = (
        "{{ (lookup('file', xian_network_directory ~ '/operator.json') | from_json).private_key }}"
    )
    done = made.preflight("--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "there is no network in" in done.stdout
    done = made.preflight()
    assert done.returncode != 0
    assert not made.changed.exists()


def test_vault_password_that_does_not_open_the_keys(made: Made) -> None:
    made.secrets(False)
    key_file = made.folder / "network/wallets/api-one.key"
    key_file.parent.mkdir()
    key_file.write_text(key("api"))
    made.run("ansible-vault", "encrypt", "--vault-password-file", "vault-password", key_file)
    del made.variables["workflow_services_keys"]
    made.variables["workflow_services_names"] = ["handlers", "projector"]
    assert made.preflight().returncode == 0
    (made.folder / "vault-password").write_text("another")
    done = made.preflight()
    assert any("can't be read" in line for line in reported(done))
    assert done.returncode != 0


def test_old_home_of_another_chain_is_in_the_way(made: Made) -> None:
    home = Path(made.variables["xian_node_home"])
    (home / "config").mkdir(parents=True)
    (home / "config/genesis.json").write_text('{"chain_id": "net-0"}')
    (home / "config/priv_validator_key.json").write_text('{"pub_key": {"value": "AAAA"}}')
    done = made.preflight("--limit", "one")
    assert any("is a home of the chain net-0, not net-1" in line for line in reported(done))
    assert done.returncode != 0


def test_preflight_with_a_limit_checks_those_hosts_alone(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_FORKS", "1")
    made.hosts["two"]["xian_node_keep_blocks"] = "some"
    done = made.preflight("--limit", "one")
    assert done.returncode == 0, done.stdout + done.stderr
    assert made.preflight("--limit", "two").returncode != 0
