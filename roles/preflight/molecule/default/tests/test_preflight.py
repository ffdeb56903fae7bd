"""Preflight leaves a host as it was, and tells all that is wrong with all of them at once."""

import os
import subprocess
from pathlib import Path

from testinfra.host import Host

CONVERGE = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "converge.yml"


def test_nothing_was_left_on_the_host(host: Host) -> None:
    for path in ("/opt/workflow-backend", "/etc/workflow-backend", "/var/lib/workflow-backend"):
        assert not host.file(path).exists


def test_what_is_wrong_on_a_host_is_told_with_what_is_wrong_in_the_inventory(host: Host) -> None:
    listen = "systemd-run --unit=squatter --collect python3 -m http.server --bind 127.0.0.1 26657"
    host.check_output(listen)
    try:
        inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
        command = ["ansible-playbook", "--inventory", inventory, CONVERGE]
        command += ["--extra-vars", "xian_node_rcp_address=127.0.0.1:1"]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        host.check_output("systemctl stop squatter")
    name = host.check_output("hostname")
    assert said.returncode != 0
    assert "2 problems" in said.stdout
    assert "xian_node_rpc_address" in said.stdout, "the nearest name"
    report = next(line for line in said.stdout.splitlines() if "26657" in line)
    assert name in report
