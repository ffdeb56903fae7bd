"""What a host is: a plain Debian with systemd, which reaches its neighbours and nobody else."""

import os

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

ALL = AnsibleRunner(os.environ["MOLECULE_INVENTORY_FILE"]).get_hosts("all")


def test_it_is_up_with_the_debian_that_it_is_named_for(host: Host) -> None:
    assert host.check_output("systemctl is-system-running") == "running"
    assert host.system_info.codename == host.check_output("hostname")


def test_converge_was_on_each_host(host: Host) -> None:
    assert host.file("/etc/scenario").content_string.strip() == host.check_output("hostname")


@pytest.mark.parametrize("other", ALL)
def test_it_reaches_the_others_by_name(host: Host, other: str) -> None:
    greeting = host.check_output(f"bash -c 'exec 3<>/dev/tcp/{other}/22; head -n 1 <&3'")
    assert greeting.startswith("SSH-2.0-")


def test_it_reaches_nothing_else(host: Host) -> None:
    assert host.check_output("ip -4 route show default") == ""
    assert host.check_output("ip -6 route show default") == ""


def test_it_has_no_tools_that_a_host_may_lack(host: Host) -> None:
    assert [p for p in ("cc", "go", "git", "pip", "uv", "curl", "psql") if host.exists(p)] == []


def test_an_account_may_become_root(host: Host) -> None:
    assert host.check_output("runuser -u admin -- sudo id --user") == "0"
