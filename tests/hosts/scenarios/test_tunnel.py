"""The way to a node's RPC through a host's own sshd."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from urllib.request import urlopen

import pytest
from tests.hosts.host import Host
from tests.hosts.network import Network

from workflow_backend.operations.tunnel import TunnelFailed, tunnel

type MakeHosts = Callable[..., AbstractContextManager[Network]]

RPC = "http://127.0.0.1:26657"
# Something that answers where a node would, for that host alone.
NODE = "systemd-run --quiet --unit=node python3 -m http.server --bind 127.0.0.1 26657"
ANSWERS = f"python3 -c 'import urllib.request as u; u.urlopen(\"{RPC}\")'"
SSHD = "/etc/ssh/sshd_config.d/test.conf"


def eventually(check: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def start_node(host: Host) -> None:
    host.run(NODE)
    eventually(lambda: host.run(ANSWERS, check=False).returncode == 0, "the node answers")


@pytest.fixture(scope="module")
def network(make_hosts: MakeHosts) -> Iterator[Network]:
    with make_hosts("tunnel", {"one": "bookworm"}) as hosts:
        start_node(hosts["one"])
        yield hosts


@pytest.fixture
def host(network: Network) -> Host:
    return network["one"]


@pytest.fixture
def ssh(network: Network) -> list[str]:
    """The command that logs in to the host, as Ansible would: sharing one connection."""
    shared = ["-o", "ControlMaster=auto", "-o", "ControlPersist=60s"]
    return [
        *("ssh", "-F", str(network.folder / "ssh_config"), *shared),
        *("-o", f"ControlPath={network.folder}/%C", "one"),
    ]


def reason_of(ssh: list[str], url: str = RPC) -> str:
    """Why there is no way, in one line."""
    with pytest.raises(TunnelFailed) as raised, tunnel(ssh, url):
        pass
    line = raised.value.explain()
    assert "\n" not in line
    return line


def test_it_leads_to_the_loopback_of_the_host(host: Host, ssh: list[str]) -> None:
    with tunnel(ssh, RPC) as url:
        assert b"Directory listing" in urlopen(url).read()
        assert host.run("pgrep -fx cat", check=False).returncode == 0
    eventually(lambda: host.run("pgrep -fx cat", check=False).returncode == 1, "the session ends")
    with pytest.raises(OSError, match="refused"):
        urlopen(url)


def test_it_ends_with_its_process(host: Host, ssh: list[str]) -> None:
    code = (
        "import sys, time\nfrom workflow_backend.operations.tunnel import tunnel\n"
        f"with tunnel({ssh!r}, {RPC!r}) as url:\n    print(url, flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert urlopen(url).status == 200
        process.kill()
    eventually(lambda: host.run("pgrep -fx cat", check=False).returncode == 1, "the session ends")
    with pytest.raises(OSError, match="refused"):
        urlopen(url)


def test_a_node_that_does_not_listen(ssh: list[str]) -> None:
    line = reason_of(ssh, "http://127.0.0.1:1")
    assert line.startswith("no answer from http://127.0.0.1:1 on one: ")
    assert "(check that the node runs" in line


def test_an_account_that_may_not_log_in(ssh: list[str]) -> None:
    line = reason_of([ssh[0], "-l", "nobody", *ssh[1:]])
    assert line.startswith("no login to one: nobody@")
    assert "Permission denied" in line


def reload_sshd(host: Host, change: str) -> None:
    host.run(f"{change} && systemctl reload ssh")
    eventually(lambda: host.run("true", check=False).returncode == 0, "sshd is there again")


def test_a_host_that_does_not_forward(host: Host, ssh: list[str]) -> None:
    reload_sshd(host, f"echo AllowTcpForwarding no > {SSHD}")
    try:
        assert "sshd forwards (AllowTcpForwarding)" in reason_of(ssh)
    finally:
        reload_sshd(host, f"rm {SSHD}")
    with tunnel(ssh, RPC) as url:
        assert urlopen(url).status == 200


def test_a_host_that_is_down(host: Host, ssh: list[str]) -> None:
    host.stop()
    line = reason_of(ssh)
    assert line.startswith("no login to one: ")
    host.start()
    start_node(host)
    with tunnel(ssh, RPC) as url:
        assert urlopen(url).status == 200
