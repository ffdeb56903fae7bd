"""The folder of the network is whole and encrypted, and no host has any of it."""

import json
import os
from pathlib import Path

from testinfra.host import Host

FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "network"


def test_hosts_and_wallets_are_those_of_the_inventory() -> None:
    network = json.loads((FOLDER / "network.json").read_text())
    assert network["chain_id"] == "scenario-1"
    assert {name: host["power"] for name, host in network["hosts"].items()} == {
        "bookworm": 10,
        "forky": 10,
    }
    wallets = json.loads((FOLDER / "wallets" / "wallets.json").read_text())
    assert set(wallets) == {"api-bookworm", "processor-bookworm"}


def test_every_key_is_encrypted_and_private() -> None:
    patterns = ("operator.json", "operator.token", "*_key.json", "*.key")
    keys = [path for pattern in patterns for path in FOLDER.rglob(pattern)]
    assert len(keys) == 11
    assert {path.read_text().split(";")[0] for path in keys} == {"$ANSIBLE_VAULT"}
    assert {path.stat().st_mode & 0o777 for path in FOLDER.rglob("*") if path.is_file()} == {0o600}


def test_no_host_was_touched(host: Host) -> None:
    assert not host.file("/etc/workflow-backend").exists
    assert not host.file("/var/lib/workflow-backend").exists
