"""Snapshots by a timer and by hand: what is in them, who vouches for them, how many stay."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from testinfra.host import Host
from tests.hosts.verified import play, wait_for_block

FOLDER = "/var/lib/workflow-backend/snapshots"
TIMER = "workflow-backend-snapshot.timer"
SERVICE = "workflow-backend-snapshot.service"
BROUGHT = "/var/lib/workflow-backend/incoming"
KEY = "/etc/workflow-backend/credentials/snapshot/key"
ACCOUNT = "workflow-node"
MADE = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
SIGNERS = json.loads((MADE / "network" / "snapshots" / "wallets.json").read_text())


def names(host: Host) -> list[str]:
    """The snapshots of the host, the oldest first."""
    return [name for name in sorted(host.file(FOLDER).listdir()) if name.startswith("2")]


def read_file(host: Host, name: str, file: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.file(f"{FOLDER}/{name}/{file}").content_string)
    return found


def by_timer(host: Host) -> str:
    """Let the timer's unit make one; return its name."""
    before = set(names(host))
    made = [read_file(host, name, "manifest.json")["height"] for name in before]
    wait_for_block(host, after=max(made, default=0))
    host.check_output("systemctl start %s", SERVICE)
    (name,) = set(names(host)) - before
    return name


def test_a_plan_makes_none(host: Host) -> None:
    printed = play("snapshot", plan_only=True).unchanged().prose
    assert "state, the index is made in" in printed
    assert "the newest 2 stay" in printed
    assert names(host) == []


def test_the_timer_waits_for_its_time(host: Host) -> None:
    assert host.check_output("systemctl is-enabled %s", TIMER) == "enabled"
    assert host.service(TIMER).systemd_properties["NextElapseUSecRealtime"]


def test_timer_that_a_cut_deployment_left_unread_runs_after_the_next(host: Host) -> None:
    """Its file is right, and systemd still goes by the one before."""
    file = f"/etc/systemd/system/{TIMER}"
    host.check_output(f"cp -p {file} /root/kept && sed -i 's/=daily/=yearly/' {file}")
    host.check_output("systemctl daemon-reload && systemctl restart %s", TIMER)
    host.check_output(f"mv /root/kept {file} && touch {file}")
    assert host.service(TIMER).systemd_properties["NeedDaemonReload"] == "yes"
    assert play("converge").ok().changed > 0
    known = host.service(TIMER).systemd_properties
    assert known["NeedDaemonReload"] == "no"
    assert "*-*-* 00:00:00" in known["TimersCalendar"]


def test_it_makes_one_that_is_whole_and_signed_by_the_hosts_own_key(host: Host) -> None:
    name = by_timer(host)
    manifest = read_file(host, name, "manifest.json")
    assert (manifest["chain_id"], manifest["host"]) == ("scenario-1", "forky")
    assert set(manifest["files"]) == {"index.dump", "state.tar.gz"}
    for file, expected in manifest["files"].items():
        there = host.file(f"{FOLDER}/{name}/{file}")
        assert (there.size, there.sha256sum) == (expected["size"], expected["sha256"])
    assert list(read_file(host, name, "signatures.json")) == [SIGNERS["forky"]]


def test_nobody_but_the_node_reads_them_and_the_key_is_roots(host: Host) -> None:
    assert (host.file(FOLDER).user, host.file(FOLDER).mode) == (ACCOUNT, 0o750)
    assert (host.file(KEY).user, host.file(KEY).mode) == ("root", 0o600)
    assert host.run("runuser -u nobody -- ls %s", FOLDER).rc != 0
    assert host.run("runuser -u %s -- cat %s", ACCOUNT, KEY).rc != 0


def test_the_operators_are_signed_by_the_control_machine_and_verified_there(
    host: Host, tmp_path: Path
) -> None:
    printed = play("snapshot", snapshot_fetch=str(tmp_path)).ok().prose
    name = names(host)[-1]
    assert list(read_file(host, name, "signatures.json")) == [SIGNERS["control"]]
    here = tmp_path / "forky" / name / "manifest.json"
    assert hashlib.sha256(here.read_bytes()).hexdigest() in printed
    assert host.run(f"grep -rlF -f {KEY} {FOLDER} /tmp /var/tmp").stdout == ""


def test_one_that_was_changed_is_not_restored(host: Host) -> None:
    name = names(host)[-1]
    file = f"{FOLDER}/{name}/manifest.json"
    host.check_output(f"cp -p {file} /root/kept && sed -i 's/scenario-1/scenario-2/' {file}")
    try:
        printed = play("restore-state-snapshot", snapshots_name=name).refused().prose
    finally:
        host.check_output(f"mv /root/kept {file}")
    assert "is not that of this manifest" in printed
    assert host.service("workflow-backend-cometbft").is_running


def test_old_ones_go_and_the_newest_that_was_verified_stays(host: Host) -> None:
    files = {name: host.file(f"{FOLDER}/{name}").listdir() for name in names(host)}
    (verified,) = [name for name in files if "verified.json" in files[name]]
    last = [by_timer(host) for _ in range(3)]
    assert names(host) == [verified, *last[1:]]


def test_what_a_cut_restore_left_where_one_is_brought_is_not_in_the_way(
    host: Host, tmp_path: Path
) -> None:
    play("snapshot", snapshot_fetch=str(tmp_path)).ok()
    here = tmp_path / "forky" / names(host)[-1]
    digest = hashlib.sha256((here / "manifest.json").read_bytes()).hexdigest()
    place = f"{BROUGHT}/{digest}"
    host.check_output(f"mkdir -p {place}/folder && touch {place}/.ansible_tmp {place}/folder/x")
    printed = play("restore-state-snapshot", snapshots_from=str(here), plan_only=True).ok().prose
    assert f"becomes that of {place}" in printed
    assert not host.file(BROUGHT).exists


def test_without_a_schedule_there_is_neither_timer_nor_key(host: Host) -> None:
    made = names(host)
    assert play("converge", snapshots_schedule="").ok().changed > 0
    left = host.run(f"ls {KEY} /etc/systemd/system/{TIMER} /etc/systemd/system/{SERVICE}")
    assert left.stdout == ""
    assert host.run("systemctl is-active %s", TIMER).stdout.strip() == "inactive"
    assert names(host) == made
    play("converge", snapshots_schedule="").unchanged()
