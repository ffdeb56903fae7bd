"""The contract's role on a host that is reached by SSH: the operator's key is not sent there."""

import json
import os
import pwd
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from node_harness import Node
from toolchain_harness import REPO
from xian_py import Wallet

BIN = Path(sys.executable).parent
PLAY = [{"hosts": "all", "gather_facts": False, "roles": [{"role": "workflow_contract"}]}]


class Host:
    """A host that a program in the place of ssh stands for; `received` is all that it got."""

    def __init__(self, folder: Path, node: Node) -> None:
        self.folder = folder
        self.node = node
        self.worker = Wallet().public_key
        self.path = folder / "host" / "contract.py"
        self.record = folder / "received"
        ssh = folder / "ssh"
        stub = REPO / "tests" / "unit" / "operations" / "ssh.py"
        ssh.write_text(f'#!/bin/sh\nexec {sys.executable} {stub} "$@"\n')
        ssh.chmod(0o700)
        (folder / "play.yml").write_text(json.dumps(PLAY))
        # Whose operator and workers there are is in the network's folder, as prepared.
        network = folder / "network"
        (network / "wallets").mkdir(parents=True)
        (network / "operator.json").write_text(json.dumps({"private_key": node.operator_key}))
        wallets = {"processor-node-1": self.worker}
        (network / "wallets" / "wallets.json").write_text(json.dumps(wallets))
        self.variables: dict[str, Any] = {
            "xian_network_chain_id": node.chain_id,
            "xian_network_directory": str(network),
            "ansible_ssh_executable": str(ssh),
            "ansible_user": "operator",
            "ansible_python_interpreter": sys.executable,
            "workflow_contract_path": str(self.path),
            "workflow_contract_owner": pwd.getpwuid(os.geteuid()).pw_name,
            "workflow_contract_chain_id": node.chain_id,
            "workflow_contract_node_url": node.url,
            "workflow_contract_name": "con_over_ssh",
            "workflow_contract_operator_key": node.operator_key,
            "workflow_contract_workers": [self.worker],
        }

    @property
    def received(self) -> str:
        return self.record.read_text(errors="replace")

    def play(self, *arguments: str, host: str = "node-1") -> subprocess.CompletedProcess[str]:
        inventory = {"all": {"hosts": {host: {}}, "vars": self.variables}}
        (self.folder / "hosts.yml").write_text(json.dumps(inventory))
        return subprocess.run(
            [BIN / "ansible-playbook", "-i", "hosts.yml", "play.yml", *arguments],
            cwd=self.folder,
            env=os.environ
            | {
                "ANSIBLE_CONFIG": str(REPO / "ansible.cfg"),
                "SSH_STUB_RECORD": str(self.record),
                # Root would not see otherwise that a task becomes root.
                "ANSIBLE_BECOME_ALLOW_SAME_USER": "true",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def host(tmp_path: Path, node: Node) -> Host:
    return Host(tmp_path, node)


def test_it_is_deployed_from_the_control_machine(host: Host) -> None:
    rehearsed = host.play("--check")
    assert rehearsed.returncode == 0, rehearsed.stdout
    done = host.play()
    assert done.returncode == 0, done.stdout
    assert "node-1 -> localhost" in done.stdout
    path = f"/get/con_over_ssh.workers:{host.worker}"
    assert b64decode(host.node.rpc("abci_query", path=path)["response"]["value"]) == b"True"
    assert host.path.read_text() == (REPO / "contracts" / "con_job_workflow.s.py").read_text()
    again = host.play()
    assert "changed=0" in again.stdout
    assert str(host.path) in host.received
    assert host.node.operator_key not in host.received
    assert host.node.operator_key not in done.stdout + again.stdout


def test_nobody_becomes_another_account_on_the_control_machine(host: Host) -> None:
    sudo = host.folder / "sudo"
    became = host.folder / "became"
    sudo.write_text(
        f'#!/bin/sh\necho "${{SSH_STUB:-here}}" >> {became}\n'
        'while [ "$1" != /bin/sh ]; do shift; done\nexec "$@"\n'
    )
    sudo.chmod(0o700)
    host.variables |= {"ansible_become": True, "ansible_become_exe": str(sudo)}
    done = host.play("--check")
    assert done.returncode == 0, done.stdout
    host.path.parent.mkdir(mode=0o700)
    host.path.write_text((REPO / "contracts" / "con_job_workflow.s.py").read_text())
    host.path.chmod(0o600)
    done = host.play("--check")  # the source is there: this rehearses the rest too
    assert done.returncode == 0, done.stdout
    assert "node-1 -> localhost" in done.stdout
    assert set(became.read_text().split()) == {"there"}


def test_node_that_does_not_run_is_named_in_a_line(host: Host) -> None:
    host.variables["workflow_contract_node_url"] = "http://127.0.0.1:1"
    done = host.play()
    assert done.returncode == 2
    assert "no answer from http://127.0.0.1:1 on node-1" in done.stdout
    assert host.node.operator_key not in done.stdout + done.stderr
