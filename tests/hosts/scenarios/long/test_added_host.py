"""A host joins four validators, a setting changes, it retires: no two nodes are down at once."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import pairwise

import pytest
from tests.hosts.host import Host
from tests.hosts.network import Network
from tests.hosts.validators import HOME, SUITES, eventually, height, starts, status

type MakeHosts = Callable[..., AbstractContextManager[Network]]

VALIDATORS = tuple(SUITES)
ADDED = "added"
WENT = re.compile(r"(Stopping|Started) .*Consensus of the Xian node")


@pytest.fixture(scope="module")
def network(make_hosts: MakeHosts) -> Iterator[Network]:
    suites = SUITES | {ADDED: "forky"}
    with make_hosts("added", suites, groups={"xian_node": VALIDATORS}) as hosts:
        hosts.variables = {
            "xian_network_chain_id": "added-1",
            "xian_network_directory": str(hosts.folder / "network"),
            "xian_network_unencrypted": True,
            "xian_network_power": f"{{{{ 0 if inventory_hostname == '{ADDED}' else 10 }}}}",
            "xian_node_p2p_address": "{{ ansible_host }}:26656",
            "xian_node_index": False,
            "xian_node_block_interval": "2s",
        }
        hosts.play("prepare-network").ok()
        hosts.play("deploy").ok()
        yield hosts


def move(network: Network, group: str) -> None:
    """Let the inventory have the host in a group, and in no other one."""
    record = network.record
    network.record = replace(
        record,
        hosts=tuple(
            replace(host, groups=(group,)) if host.name == ADDED else host for host in record.hosts
        ),
    )


def peers(host: Host) -> int:
    """How many nodes it is connected with."""
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:26657/net_info').read())"
    found = re.search(r'"n_peers": *"(\d+)"', host.output(["python3", "-c", ask]))
    assert found
    return int(found[1])


def turns(host: Host, since: float) -> list[tuple[float, str]]:
    """When CometBFT was stopped and was ready again, as its host's systemd says."""
    lines = host.output(
        f"journalctl --since=@{since:.0f} --output=short-unix --no-pager _PID=1"
    ).splitlines()
    found = [(line.split()[0], WENT.search(line)) for line in lines if WENT.search(line)]
    return [(float(at), match[1]) for at, match in found if match]


def test_added_host_restarts_no_other_and_follows_the_chain(network: Network) -> None:
    before = {name: starts(network[name]) for name in VALIDATORS}
    move(network, "xian_node")
    network.play("prepare-network").ok()
    play = network.play("deploy").ok()
    assert {name: starts(network[name]) for name in VALIDATORS} == before
    assert "in turn" not in play.prose
    top = height(network["v1"])
    eventually(lambda: height(network[ADDED]) >= top, "the added host follows", 60)
    eventually(lambda: peers(network[ADDED]) == 4, "the added host has all as peers")
    own = status(network[ADDED])["node_info"]["id"]
    for name in VALIDATORS:
        assert own in network[name].output(f"grep ^persistent_peers {HOME}/config/config.toml")
    network.play("deploy").unchanged()


def test_setting_that_takes_a_restart_is_planned_and_brought_in_turn(network: Network) -> None:
    network.variables["xian_node_log_level"] = "DEBUG"
    since = time.time()
    rehearsal = network.play("deploy", "--check").ok()
    for name in VALIDATORS:
        assert f"{name}: in turn, restarts abci, cometbft; without {name} 30 of 40" in (
            rehearsal.output
        )
    assert [turns(network[name], since) for name in VALIDATORS] == [[]] * 4
    network.play("deploy").ok()
    spans = []
    for name in VALIDATORS:
        (stopped, first), (started, second) = turns(network[name], since)
        assert (first, second) == ("Stopping", "Started")
        spans.append((stopped, started))
    spans.sort()
    assert all(one[1] < other[0] for one, other in pairwise(spans))
    network.play("deploy").unchanged()


def test_host_that_retires_runs_nothing_of_ours_and_keeps_its_data(network: Network) -> None:
    move(network, "retired")
    play = network.play("deploy").ok()
    sentence = f"{ADDED}: stops and removes cometbft, abci, no longer defined"
    assert sentence in play.prose
    units = network[ADDED].output("ls /etc/systemd/system | grep -c ^workflow-backend- || true")
    assert units == "0"
    network[ADDED].run("! pgrep --full '[w]orkflow_backend_node'")
    network[ADDED].run(f"test -f {HOME}/config/priv_validator_key.json")
    network.play("deploy").unchanged()
