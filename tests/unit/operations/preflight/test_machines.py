"""Machines: what a host lacks is reported, and data of others that is in the way."""

from typing import Any

import pytest

from workflow_backend.operations.preflight.disks import GIB
from workflow_backend.operations.preflight.findings import Level

from .inventories import (
    DATA,
    HOME,
    NO_HOME,
    NOW,
    RELEASE,
    host,
    key,
    machine,
    network,
    only,
    place,
    preflight,
    problem,
    warning,
)

SUPERVISOR = {"program_manager": "supervisor", "ansible_connection": "local"}


def of(system: str, version: str) -> dict[str, Any]:
    """A machine with another system."""
    return machine(os={"id": system, "version": version, "name": f"{system} {version}"})


@pytest.mark.parametrize(
    ("system", "version", "known"),
    [
        ("debian", "12", True),
        ("debian", "13", True),
        ("debian", "", True),  # testing has no number
        ("debian", "11", False),
        ("ubuntu", "22.04", True),
        ("ubuntu", "24.04", True),
        ("ubuntu", "20.04", False),
        ("fedora", "42", False),
    ],
)
def test_unknown_system_is_a_warning(system: str, version: str, known: bool) -> None:
    findings = preflight(host(seen=of(system, version)))
    assert findings == [] or f"its system is {system}" in warning(findings, "system")
    assert (findings == []) is known


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"machine": "aarch64"}, "its architecture is aarch64"),
        ({"init": "runit", "systemd": 0}, "its first process is runit"),
        ({"systemd": 249}, "its systemd is 249"),
        ({"root": False}, "Ansible is not root"),
    ],
)
def test_machine_that_can_not_work_is_found(other: dict[str, Any], message: str) -> None:
    assert message in problem(preflight(host(seen=machine(**other))), "system")
    assert preflight(host(seen=machine(**other), **SUPERVISOR)) == []


@pytest.mark.parametrize(
    ("total", "group", "level"),
    [
        (0.5, "xian_node", Level.PROBLEM),
        (1, "xian_node", Level.WARNING),
        (2, "xian_node", None),
        (0.5, "workflow_services", Level.WARNING),
        (1, "workflow_services", None),
    ],
)
def test_memory_is_judged_by_what_runs(total: float, group: str, level: Level) -> None:
    seen = machine(memory=int(total * GIB))
    findings = preflight(host(seen=seen, groups=[group], xian_node_index=False))
    assert [finding.level for finding in findings] == ([level] if level else [])


@pytest.mark.parametrize(
    ("asked_at", "time", "message"),
    [
        (NOW, NOW + 20, "18 s ahead of"),
        (NOW, NOW - 20, "20 s behind"),
        (NOW, NOW + 6, ""),
        (NOW - 30, NOW - 15, ""),  # it was busy between the question and the judgement
    ],
)
def test_clocks_agree(asked_at: float, time: float, message: str) -> None:
    seen = machine(asked_at=asked_at, time=time)
    findings = preflight(host(seen=seen))
    assert message in problem(findings, "clock") if message else findings == []
    assert preflight(host(seen=seen, **SUPERVISOR)) == []


@pytest.mark.parametrize(
    ("synchronised", "is_reported"), [(True, False), (None, False), (False, True)]
)
def test_clock_that_nothing_keeps_right(synchronised: bool | None, is_reported: bool) -> None:
    findings = preflight(host(seen=machine(synchronised=synchronised)))
    assert bool(findings) is is_reported
    if is_reported:
        assert warning(findings, "clock")


@pytest.mark.parametrize(
    ("release", "data", "together", "levels"),
    [
        (1, 50, False, [Level.PROBLEM]),
        (3, 50, False, []),
        (50, 0.5, False, [Level.PROBLEM]),
        (50, 3, False, [Level.WARNING]),
        (2.5, 2.5, True, [Level.PROBLEM]),
        (6, 6, True, [Level.WARNING]),
        (8, 8, True, []),
        (0.1, 0.1, False, [Level.PROBLEM] * 2),
    ],
)
def test_disks_have_room(release: float, data: float, together: bool, levels: list[Level]) -> None:
    places = {
        RELEASE: place(1, free=int(release * GIB)),
        DATA: place(1 if together else 2, free=int(data * GIB)),
    }
    findings = preflight(host(seen=machine(places=places)))
    assert [finding.level for finding in findings] == levels
    assert all(finding.check == "disk" for finding in findings)


def test_file_system_is_named_by_what_lies_outermost_on_it() -> None:
    index, snapshots, node = f"{DATA}/postgres", "/snapshots", f"{DATA}/node"
    places = {
        RELEASE: place(1),
        DATA: place(2, free=2 * GIB),
        node: place(2, free=2 * GIB),
        index: place(3, free=0),
        snapshots: place(4, free=GIB // 2),
    }
    findings = preflight(host(seen=machine(places=places)))
    assert sorted(finding.what for finding in findings) == [
        f"0.0 GiB are free for {index}",
        f"0.5 GiB are free for {snapshots}",
        f"2.0 GiB are free for {DATA}",
    ]
    # However many folders lie on one, it needs room for data once.
    assert [finding.level for finding in findings].count(Level.WARNING) == 1


def test_release_that_is_there_needs_no_room() -> None:
    places = {RELEASE: place(1, free=0), DATA: place(2)}
    assert problem(preflight(host(seen=machine(places=places))), "disk")
    assert preflight(host(seen=machine(places=places, releases=["0.1.0-1"]))) == []


def test_under_supervisor_no_release_needs_room() -> None:
    places = {RELEASE: place(1, free=0), DATA: place(1, free=10 * GIB)}
    assert preflight(host(seen=machine(places=places), **SUPERVISOR)) == []


def test_file_systems_have_inodes_or_count_none() -> None:
    for inodes, left, is_reported in ((10**6, 5, True), (10**6, 10**5, False), (0, 0, False)):
        places = {RELEASE: place(1), DATA: place(2, inodes=inodes, inodes_free=left)}
        findings = preflight(host(seen=machine(places=places)))
        assert bool(findings) is is_reported
        if is_reported:
            assert "files" in problem(findings, "disk")


@pytest.mark.parametrize(
    ("entries", "current", "is_reported"),
    [
        ([], "missing", False),
        (["current", "releases"], "link", False),
        (["releases"], "missing", False),
        (["current", "previous", "releases"], "link", False),
        (["0.1.0-1.tar.gz", ".0.1.0-1.tar.gz.xyz"], "missing", False),  # it was interrupted
        (["bin", "lib"], "missing", True),
        (["current", "releases"], "folder", True),
    ],
)
def test_folder_of_releases_is_ours(entries: list[str], current: str, is_reported: bool) -> None:
    places = {RELEASE: place(1, entries=entries), DATA: place(2)}
    findings = preflight(host(seen=machine(places=places, current=current, deployed=True)))
    assert bool(findings) is is_reported
    if is_reported:
        assert "something else than releases" in problem(findings, "data")


@pytest.mark.parametrize("deployed", [True, False])
def test_data_where_nothing_was_deployed(deployed: bool) -> None:
    places = {RELEASE: place(1), DATA: place(2, entries=["node", "postgres"])}
    findings = preflight(host(seen=machine(places=places, deployed=deployed)))
    if deployed:
        assert findings == []
    else:
        assert "node, postgres" in warning(findings, "data")


def home(**other: str) -> dict[str, Any]:
    """A machine with a node's home, that of host one but for what differs."""
    ours = {
        "chain_id": "net-1",
        "genesis_sha256": key("genesis"),
        "validator": key("validator one"),
        "fee_mode": "free_metered",
        "problem": "",
    }
    return machine(home=ours | other, deployed=True)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"chain_id": "net-0"}, f"{HOME} is a home of the chain net-0, not net-1"),
        ({"genesis_sha256": key("x")}, "another genesis of net-1"),
        ({"validator": key("x")}, "another validator's key"),
        ({"problem": "genesis.json: No such file"}, "is not a node's home"),
        (NO_HOME, ""),
        ({}, ""),
    ],
)
def test_home_is_this_networks_and_this_hosts(other: dict[str, str], message: str) -> None:
    findings = preflight(host(seen=home(**other)))
    assert message in problem(findings, "data") if message else findings == []
    assert preflight(host(seen=home(**other)), networks={"/net": None}) != []


def test_chain_keeps_its_fee_mode() -> None:
    paid = {"xian_node_fee_mode": "paid_metered", "workflow_contract_fee_mode": "paid_metered"}
    what = problem(preflight(host(seen=home(), **paid)), "consensus")
    assert what.endswith(f"{HOME} was made with free_metered")
    assert preflight(host(seen=home(fee_mode="paid_metered"), **paid)) == []
    assert preflight(host(seen=home(fee_mode=""), **paid)) == []


def test_machines_with_one_validators_key_are_found() -> None:
    net = network("one", "four")
    hosts = host("one", home()), host("four", home(validator=key("validator one")))
    findings = preflight(*hosts, networks={"/net": net})
    assert {finding.check for finding in findings} == {"identity", "data"}
    assert findings[0].hosts == ("four",)
    both = next(finding for finding in findings if finding.check == "identity")
    assert both.hosts == ("four", "one")


def test_machine_with_two_names_is_found() -> None:
    same = {"ansible_host": "192.0.2.9"}
    finding = only(preflight(host("one", **same), host("four", **same)))
    assert finding.what == "one and four are one machine, 192.0.2.9"
    assert preflight(host("one", **same), host("four", ansible_port=2222, **same)) == []


@pytest.mark.parametrize(
    ("trouble", "hint"),
    [
        (
            "Failed to connect to the host via ssh: Connection refused",
            "ansible -i INVENTORY one -m",
        ),
        ("root@192.0.2.1: Permission denied (publickey).", "SSH key"),
        ("Missing sudo password", "--ask-become-pass"),
        ("waiting for become success. /bin/sh: 1: sudo: not found", "ansible_become"),
        ("Host key verification failed.", "ssh-keyscan"),
        ("Ansible requires Python 3.9 or newer on the target. Current version: 3.8", "3.9 or"),
        ("The module interpreter '/usr/bin/python3' was not found.", "apt-get install python3"),
    ],
)
def test_host_that_can_not_be_asked(trouble: str, hint: str) -> None:
    finding = only(preflight(host(trouble=trouble), host("four", machine())))
    assert (finding.check, finding.hosts, finding.level) == ("reach", ("one",), Level.PROBLEM)
    assert trouble in finding.what
    assert hint in finding.hint
