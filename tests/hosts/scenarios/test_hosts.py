"""The hosts themselves: what a test does to them happens, and nothing of them is left."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.hosts import REPO, links, network, store
from tests.hosts.group import Group
from tests.hosts.host import Host, HostError
from tests.hosts.network import Network
from tests.hosts.plays import PlayFailed
from tests.hosts.store import Record

type MakeHosts = Callable[..., AbstractContextManager[Network]]

PLAY = """\
- hosts: web
  gather_facts: false
  tasks:
    - name: A file
      ansible.builtin.copy:
        content: "{{ text }}"
        dest: /etc/play
        mode: "0644"
    - name: A while
      ansible.builtin.command: sleep {{ seconds | default(0) }}
      changed_when: false
"""


@pytest.fixture(scope="module")
def hosts(make_hosts: MakeHosts) -> Iterator[Network]:
    suites = {"one": "bookworm", "two": "forky", "three": "bookworm", "four": "forky"}
    with make_hosts("hosts", suites, groups={"web": ["one", "two"]}) as booted:
        yield booted


@pytest.fixture(params=["one", "two"])
def host(hosts: Network, request: pytest.FixtureRequest) -> Host:
    return hosts[request.param]


@pytest.fixture
def playbook(tmp_path: Path) -> str:
    file = tmp_path / "play.yml"
    file.write_text(PLAY)
    return str(file)


def left_of(record: Record) -> list[str]:
    """What this machine still has of a network."""
    groups = [host.machine for host in record.hosts if Group(host.machine).path.exists()]
    names = [record.bridge, *(host.link for host in record.hosts)]
    found = groups + [name for name in names if links.exists(name)]
    mounts = Path("/proc/mounts").read_text()
    return found + [str(record.folder)] * (record.folder.exists() or str(record.folder) in mounts)


def test_a_command_that_fails_tells_what_it_printed(host: Host) -> None:
    assert host.output(["echo", "a  b", "$HOME"]) == "a  b $HOME"
    assert host.run("cat", input="given").stdout == "given"
    with pytest.raises(HostError, match=r"exit code 3: (?s:.*)\nno"):
        host.run("echo no >&2; exit 3")
    with pytest.raises(HostError, match="not done within 1 s"):
        host.run("sleep 20", timeout=1)


def test_after_a_reboot_it_is_up_with_what_it_had(host: Host) -> None:
    before = host.output("cat /proc/sys/kernel/random/boot_id; touch /root/kept")
    host.reboot()
    after = host.output("cat /proc/sys/kernel/random/boot_id; systemctl is-system-running")
    assert after != before
    assert after.endswith("running")
    host.run("rm /root/kept")


def test_a_reboot_that_it_does_itself_is_one(host: Host) -> None:
    question = "cat /proc/sys/kernel/random/boot_id"
    before = host.output(question)
    host.run("systemctl reboot", check=False)
    deadline = time.monotonic() + 60
    while host.run(question, check=False).stdout.strip() in {before, ""}:
        assert time.monotonic() < deadline


def test_a_host_without_power_or_stopped_is_down_until_it_is_started(host: Host) -> None:
    for end in (host.kill, host.stop):
        host.run("echo kept >/root/kept; sync")
        end()
        assert not host.is_up
        with pytest.raises(HostError):
            host.run("true", timeout=1)
        host.start()
        assert host.output("cat /root/kept; rm /root/kept") == "kept"


def test_a_cut_host_goes_on_alone(hosts: Network, host: Host) -> None:
    host.cut()
    try:
        with pytest.raises(HostError):
            host.run("true", timeout=2)
        assert host.inside("systemctl", "is-system-running").stdout.strip() == "running"
        reach = ["bash", "-c", f"exec 3<>/dev/tcp/{host.name}/22"]
        assert hosts["three"].run(["timeout", "2", *reach], check=False).returncode == 124
    finally:
        host.mend()
    host.run("true")


def test_a_paused_host_is_silent_until_it_goes_on(host: Host) -> None:
    host.pause()
    try:
        with pytest.raises(HostError):
            host.run("true", timeout=2)
    finally:
        host.resume()
    host.run("true")


def test_a_small_disk_is_full(host: Host) -> None:
    host.small_disk("/opt/small", 8)
    host.fill("/opt/small")
    assert "No space left" in host.run("head -c 9000 /dev/zero >/opt/small/x", check=False).stderr
    with pytest.raises(HostError, match="own disk"):
        host.fill("/root")


def test_playbooks_run_on_the_groups_that_are_named(hosts: Network, playbook: str) -> None:
    assert hosts.play(playbook, "--check", text="x").ok().recap["one"]["changed"] == 1
    recap = hosts.play(playbook, text="x").ok().recap
    assert {name: numbers["changed"] for name, numbers in recap.items()} == {"one": 1, "two": 1}
    hosts.play(playbook, text="x").unchanged()
    with pytest.raises(PlayFailed):
        hosts.play(playbook, text="y").unchanged()
    assert "is undefined" in hosts.play(playbook).failed().output


def test_a_playbook_goes_on_while_a_host_is_lost(hosts: Network, playbook: str) -> None:
    play = hosts.begin(playbook, text="z", seconds=3).until("TASK [A while]")
    hosts["two"].kill()
    try:
        assert play.failed().recap["two"]["unreachable"] == 1
        assert play.recap["one"]["failed"] == 0
    finally:
        hosts["two"].start()
    hosts.play(playbook, text="z").ok()


def test_a_playbook_whose_control_machine_dies_leaves_nothing(
    hosts: Network, playbook: str
) -> None:
    play = hosts.begin(playbook, text="z", seconds=600).until("TASK [A while]").stop()
    assert play.code == -9
    assert not play.is_running


def test_what_is_taken_down_is_gone(make_hosts: MakeHosts) -> None:
    with make_hosts("gone", {"one": "bookworm"}) as booted:
        record = booted.record
        assert len(left_of(record)) == 4
        assert [r for r in store.records() if r.name == record.name]
    assert left_of(record) == []


def test_what_a_killed_run_left_is_found_and_taken_down() -> None:
    program = (
        "import os, signal; from tests.hosts.network import booted\n"
        "with booted('killed', {'one': 'bookworm'}): os.kill(os.getpid(), signal.SIGKILL)"
    )
    outside = {n: v for n, v in os.environ.items() if n != "WORKFLOW_BACKEND_HOSTS_OWNER"}
    subprocess.run([sys.executable, "-c", program], cwd=REPO, env=outside, check=False)
    (record,) = [r for r in store.records() if r.name.startswith("killed-")]
    assert left_of(record) != []
    assert record.is_left
    assert record.name in network.clean()
    assert left_of(record) == []


def test_hosts_whose_record_is_lost_go_with_the_next_run(make_hosts: MakeHosts) -> None:
    with make_hosts("lost", {"one": "bookworm"}) as booted:
        (booted.folder / "state.json").write_text("{")
        assert booted.record.name in network.clean()
        assert left_of(booted.record) == []


def test_host_that_does_not_come_up_is_named_and_taken_down(
    make_hosts: MakeHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Host, "wait", lambda host: host.run("false").stdout)
    before = {record.name for record in store.records()}
    with pytest.raises(HostError), make_hosts("never", {"one": "bookworm"}):
        pass
    assert {record.name for record in store.records()} == before
