"""Filters say what Ansible itself does."""

import json
import os
import runpy
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).parents[2]

PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {
                "ansible.builtin.copy": {
                    "content": "{{ hostvars[inventory_hostname]"
                    " | xian.workflow_backend.ssh_command }}",
                    "dest": "{{ said }}",
                    "mode": "0600",
                },
                "delegate_to": "localhost",
            },
            {"ansible.builtin.raw": "true"},
        ],
    }
]
INVENTORY: dict[str, Any] = {
    "all": {
        "hosts": {"node-1": {"ansible_host": "{{ net }}.7", "ansible_port": 2222}},
        "vars": {
            "net": "10.0.0",
            "ansible_ssh_private_key_file": "~/{{ inventory_hostname }}.key",
            "ansible_ssh_common_args": "-o ProxyCommand='ssh -W %h:%p way' -o UserKnownHostsFile=k",
        },
    }
}


def options(words: list[str]) -> dict[str, str]:
    """The options in an ssh command, the first value of each."""
    found: dict[str, str] = {}
    for flag, option in pairwise(words):
        if flag == "-o":
            name, _, value = option.partition("=")
            found.setdefault(name, value)
    return found


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        ([], {}),
        (["--user", "operator"], {"ANSIBLE_HOST_KEY_CHECKING": "false"}),
        (["--ssh-extra-args=-o LogLevel=ERROR"], {"ANSIBLE_REMOTE_USER": "someone"}),
        (["-e", "ansible_user=other", "--timeout", "7"], {"ANSIBLE_SSH_ARGS": "-C"}),
    ],
)
def test_the_ssh_command_is_ansibles_own(
    tmp_path: Path, arguments: list[str], environment: dict[str, str]
) -> None:
    ssh, ran, said = tmp_path / "ssh", tmp_path / "ran", tmp_path / "said"
    ssh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {ran}\n')
    ssh.chmod(0o700)
    (tmp_path / "hosts.json").write_text(json.dumps(INVENTORY))
    (tmp_path / "play.json").write_text(json.dumps(PLAY))
    subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "play.json"),
            *("-i", "hosts.json", "-e", f"said={said} ansible_ssh_executable={ssh}"),
            *arguments,
        ],
        cwd=tmp_path,
        env=os.environ | {"ANSIBLE_CONFIG": str(REPO / "ansible.cfg")} | environment,
        check=True,
        capture_output=True,
    )
    ours, theirs = shlex.split(said.read_text()), ran.read_text().splitlines()
    assert ours[0] == str(ssh)
    assert ours[-1] == theirs[-2]  # behind the host comes what Ansible lets it run
    without_a_password = {
        "KbdInteractiveAuthentication",
        "PreferredAuthentications",
        "PasswordAuthentication",
        "NumberOfPasswordPrompts",
    }
    of_the_connection = {"ControlPath"}
    assert options(ours) == {
        name: value
        for name, value in options(theirs).items()
        if name not in without_a_password | of_the_connection
    }


def test_a_host_that_ansible_is_on_has_none() -> None:
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible"), "-i", "here,", "here"),
            *("-m", "ansible.builtin.debug", "-e", "ansible_connection=local"),
            *("-a", "msg=<{{ hostvars[inventory_hostname] | xian.workflow_backend.ssh_command }}>"),
        ],
        env=os.environ | {"ANSIBLE_CONFIG": str(REPO / "ansible.cfg")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "<>" in done.stdout


FILTERS = runpy.run_path(str(REPO / "plugins" / "filter" / "node_peers.py"))
PEERS, INBOUND = FILTERS["node_peers"], FILTERS["inbound_peers"]
NETWORK = {"hosts": {name: {"node_id": f"id-{name}"} for name in ("one", "two", "three", "four")}}


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ({"xian_node_p2p_address": "10.0.0.2:26656"}, "10.0.0.2:26656"),
        ({"xian_node_p2p_address": "[fd00::2]:26656"}, "[fd00::2]:26656"),
        ({"xian_node_p2p_address": "0.0.0.0:26657", "ansible_host": "ten"}, "ten:26657"),
        ({"xian_node_p2p_address": "0.0.0.0:26656"}, "two:26656"),
        ({"xian_node_p2p_address": "0.0.0.0:26656", "ansible_host": "fd00::5"}, "[fd00::5]:26656"),
        ({"xian_node_p2p_address": "[::]:26656", "ansible_host": "fd00::5"}, "[fd00::5]:26656"),
        ({"xian_node_p2p_address": "[::]:26656", "ansible_host": "[fd00::5]"}, "[fd00::5]:26656"),
        (
            {
                "xian_node_p2p_address": "127.0.0.1:26656",
                "xian_node_p2p_external_address": "two.example:443",
            },
            "two.example:443",
        ),
        ({"xian_node_p2p_address": "127.0.0.1:26656"}, None),
        ({"xian_node_p2p_address": "[::1]:26656"}, None),
        ({}, None),
    ],
)
def test_a_peer_is_known_by_where_others_reach_it(
    host: dict[str, str], address: str | None
) -> None:
    hosts = {"one": {"xian_node_p2p_address": "10.0.0.1:26656"}, "two": host}
    assert PEERS(NETWORK, hosts, "one") == ([f"id-two@{address}"] if address else [])


def test_peers_outside_the_inventory_come_first() -> None:
    assert PEERS(NETWORK | {"peers": ["id@far:1"]}, {"one": {}}, "one") == ["id@far:1"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"xian_node_p2p_external_address": "two:443,id-evil@far:1"},
        {"xian_node_p2p_external_address": 'two:443"\nmoniker = "x'},
        {"xian_node_p2p_external_address": "two"},
        {"xian_node_p2p_address": "fd00::2:26656"},
        {"xian_node_p2p_address": "0.0.0.0:26656", "ansible_host": "user@two"},
    ],
)
def test_an_address_that_is_more_than_one_names_its_host(wrong: dict[str, str]) -> None:
    with pytest.raises(
        FILTERS["AnsibleFilterError"], match=r"(p2p|ansible_host).* of two gives its peers"
    ):
        PEERS(NETWORK, {"one": {}, "two": wrong}, "one")


OPEN = {"xian_node_p2p_address": "10.0.0.1:26656"}


@pytest.mark.parametrize(
    ("one", "two", "inbound"),
    [
        (OPEN, OPEN, ["id-two@there:1"]),
        (OPEN, OPEN | {"xian_node_peers": ["id-one@here:1"]}, ["id-two@there:1"]),
        (OPEN, OPEN | {"xian_node_peers": ["id-three@far:1"]}, []),
        ({}, OPEN, []),  # nobody gets to a node on loopback: it has to connect itself
    ],
)
def test_peers_that_connect_by_themselves_are_those_that_have_this_node(
    one: dict[str, Any], two: dict[str, Any], inbound: list[str]
) -> None:
    peers = ["id@far:1", "id-two@there:1"]
    assert INBOUND(peers, NETWORK, {"one": one, "two": two}, "one") == inbound


@pytest.mark.parametrize(
    ("dsn", "secret"),
    [
        ("postgresql:///xian?host=/run/pg&user=node", False),
        ("postgresql://node@db.example:5432/xian?sslmode=verify-full&sslkey=/etc/key", False),
        ("postgresql://node:hush@db.example/xian", True),
        ("postgresql://node:@db.example/xian", True),
        ("postgresql://node@db.example/xian?password=hush", True),
        ("postgresql://node@db.example/xian?sslkey=/etc/key&sslpassword=hush", True),
        ("postgresql://node@db.example/xian?ssl%70assword=hush", True),
        ("host=db password=hush", True),
        ("postgresql://node@db.example/xian#?password=hush", True),
        ("postgresql://node@[db/xian", True),
        ("", True),
    ],
)
def test_a_dsn_with_any_password_is_a_secret(dsn: str, secret: bool) -> None:
    found = runpy.run_path(str(REPO / "plugins" / "filter" / "holds_secret.py"))
    assert found["holds_secret"](dsn) is secret


WALLETS = runpy.run_path(str(REPO / "plugins" / "filter" / "network_wallets.py"))
KEYS = {"api-one": "a1", "processor": "p", "processor-gone": "pg", "processor-mine": "pm"} | {
    f"processor-{name}": f"p-{name}" for name in ("one", "two", "three")
}


def test_who_runs_a_service_no_more_is_known_by_groups_and_names() -> None:
    hosts = {
        "one": {},
        "two": {"workflow_services_names": ["api"]},
        "three": {"workflow_services_names": ["processor"]},
        "four": {},
        "five": {"workflow_services_names": []},
    }
    groups = {"workflow_services": ["one", "two", "three", "five"], "xian_node": ["four"]}
    left = WALLETS["hosts_without"](hosts, "processor", groups)
    assert left == ["five", "four", "two"]
    assert WALLETS["service_wallets"](hosts, groups) == [
        *("processor-one", "api-one", "api-two", "processor-three")
    ]
    working = WALLETS["network_wallets"](KEYS, "processor", [*left, "gone"])
    assert working == ["p", "pm", "p-one", "p-three"]  # one by another name is not a host's
    assert WALLETS["left_wallets"](KEYS, "processor", left) == ["p-two"]
    assert WALLETS["network_wallets"](KEYS, "api") == ["a1"]


def test_worker_of_a_host_of_another_inventory_is_neither_added_nor_removed() -> None:
    """An inventory may name fewer hosts than the network has, and some that it does not deploy."""
    hosts: dict[str, Any] = {"one": {}, "two": {}}
    groups = {"all": ["one", "two"], "workflow_services": ["one"], "xian_node": ["one"]}
    left = WALLETS["hosts_without"](hosts, "processor", groups)
    assert WALLETS["left_wallets"](KEYS, "processor", left) == []
    network = ["one", "two", "three", "gone"]
    assert WALLETS["worker_wallets"](KEYS, hosts, groups, network) == ["p", "pm", "p-one"]


def test_worker_of_a_host_that_is_retired_is_removed() -> None:
    hosts: dict[str, Any] = {"one": {}, "gone": {}}
    groups = {"all": list(hosts), "workflow_services": ["one"], "retired": ["gone"]}
    left = WALLETS["hosts_without"](hosts, "processor", groups)
    assert WALLETS["left_wallets"](KEYS, "processor", left) == ["pg"]


@pytest.mark.parametrize("role", ["workflow_contract", "workflow_services"])
def test_roles_take_away_no_right_of_hosts_that_only_the_network_names(role: str) -> None:
    text = (REPO / "roles" / role / "vars" / "main.yml").read_text()
    left = yaml.safe_load(text)[f"_{role}_left"]
    assert left == "{{ hostvars | xian.workflow_backend.hosts_without('processor', groups) }}"
