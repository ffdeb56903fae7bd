"""Preflight leaves a host as it was, and tells all that is wrong with all of them at once."""

import os
import shutil
from pathlib import Path

from testinfra.host import Host
from tests.hosts.verified import play

WALLETS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "network" / "wallets"


def test_nothing_was_left_on_the_host(host: Host) -> None:
    for path in ("/opt/workflow-backend", "/etc/workflow-backend", "/var/lib/workflow-backend"):
        assert not host.file(path).exists


def test_what_is_wrong_on_a_host_is_told_with_what_is_wrong_in_the_inventory(host: Host) -> None:
    listen = "systemd-run --unit=squatter --collect python3 -m http.server --bind 127.0.0.1 26657"
    host.check_output(listen)
    try:
        run = play("converge", xian_node_rcp_address="127.0.0.1:1").refused()
    finally:
        host.check_output("systemctl stop squatter")
    name = host.check_output("hostname")
    assert "2 problems" in run.prose
    assert "xian_node_rpc_address" in run.prose, "the nearest name"
    report = next(line for line in run.output.splitlines() if "26657" in line)
    assert name in report


def test_a_key_that_was_copied_for_another_host_is_seen_and_not_shown(tmp_path: Path) -> None:
    copied, other = WALLETS / "processor-bookworm.key", WALLETS / "processor-forky.key"
    shutil.copy2(other, tmp_path)
    shutil.copy2(copied, other)
    try:
        run = play("converge", "-vvv").refused()
    finally:
        shutil.copy2(tmp_path / other.name, other)
    assert "processor on bookworm and processor on forky have the same wallet" in run.prose
    assert copied.read_text().strip() not in run.output
