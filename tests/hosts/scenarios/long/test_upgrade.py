"""A consortium of four gets another release while clients go on, and gets rid of it again."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.hosts import REPO, heights, releases
from tests.hosts.flow import flowing
from tests.hosts.host import Host
from tests.hosts.network import Network
from tests.hosts.releases import current, id_of

type MakeHosts = Callable[..., AbstractContextManager[Network]]

NAMES = ("validator-1", "validator-2", "validator-3", "validator-4")
WITH_SERVICES = NAMES[:2]
ITEMS = 1000
CLIENTS = 12
ITEM = "an item through the whole backend"
# systemd's word; CometBFT has some of its own for parts of itself.
STOPPING = re.compile("Stopping .*Consensus of the Xian node")
PROGRAM = "systemctl show --property=MainPID --value workflow-backend-{}.service"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The releases: the one that runs, a good one, and one whose API takes no item.

    The good one has another app, so it says, which it was declared to agree with the earlier one.
    """
    folder = tmp_path_factory.mktemp("releases")
    old = (REPO / "dist" / "latest.json").resolve()
    new = releases.build(folder, "0.1.1", agrees_with=id_of(old))
    call = "await submit(backend, principal, submission)"
    broken = {"services/workflow_backend/api/writes.py": (call, "await submit(backend)")}
    return {
        "old": old,
        "new": releases.with_another_app(new),
        "broken": releases.build(folder, "0.1.2", broken),
    }


@pytest.fixture(scope="module")
def network(make_hosts: MakeHosts, made: dict[str, Path]) -> Iterator[Network]:
    suites = dict(zip(NAMES, ("bookworm", "forky", "bookworm", "forky"), strict=True))
    groups = {"xian_node": NAMES, "postgres": WITH_SERVICES, "workflow_services": WITH_SERVICES}
    with make_hosts("upgrade", suites, groups=groups) as hosts:
        hosts.variables = {
            "xian_network_chain_id": "upgrade-1",
            "xian_network_directory": str(hosts.folder / "network"),
            "xian_network_unencrypted": True,
            "upgrade_report": str(hosts.folder / "changes.json"),
            "xian_node_p2p_address": "{{ ansible_host }}:26656",
            "xian_node_index": "{{ 'postgres' in group_names }}",
            "xian_node_block_interval": "2s",
        }
        hosts.play("prepare-network").ok()
        hosts.play("deploy", release_file=str(made["old"])).ok()
        yield hosts


def run_from(network: Network, name: str, program: str) -> str:
    """The interpreter that a program runs with; it is in the folder of its release."""
    pid = network[name].output(PROGRAM.format(program))
    return network[name].output(f"readlink /proc/{pid}/exe")


def steps(report: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(report.read_text())["steps"]
    return found


def test_a_plan_says_what_would_happen_and_changes_nothing(
    network: Network, made: dict[str, Path]
) -> None:
    play = network.play("upgrade", release_file=str(made["new"]), plan_only=True).unchanged()
    sentence = f"from release {id_of(made['old'])} to {id_of(made['new'])}, one host at a time"
    assert sentence in play.prose
    assert "without validator-3 30 of 40 voting power is up: the chain goes on" in play.prose
    assert current(network) == [id_of(made["old"])] * 4


def test_another_app_is_no_rolling_upgrade(network: Network, made: dict[str, Path]) -> None:
    other = releases.described(made["new"])
    del other["consensus_compatible_with"]
    file = made["new"].with_name("other.json")  # beside its archive
    file.write_text(json.dumps(other))
    play = network.play("upgrade", release_file=str(file)).failed()
    assert "has another app, VM or CometBFT (xian-tech-abci" in play.prose
    assert "-e upgrade_together=true" in play.prose
    assert "--consensus-compatible-with ID" in play.prose
    assert all(numbers["changed"] == 0 for numbers in play.recap.values())


def test_no_host_is_taken_down_that_the_chain_needs(
    network: Network, made: dict[str, Path]
) -> None:
    network["validator-4"].run("systemctl stop workflow-backend-cometbft")
    limit = ("--limit", ",".join(NAMES[:3]))
    bring_up = "bring those up first: playbooks/start.yml"
    hints = {"upgrade": bring_up, "restart": bring_up, "stop": "stop all of them (without --limit)"}
    for playbook, hint in hints.items():
        play = network.play(playbook, *limit, release_file=str(made["new"])).failed()
        printed = play.prose
        assert "the chain stands still, which takes more than 2/3; not up: validator-4" in printed
        assert hint in printed
        assert all(numbers["changed"] == 0 for numbers in play.recap.values())
    network.play("start").ok()
    assert current(network) == [id_of(made["old"])] * 4


def test_a_release_that_is_not_well_goes_back_by_itself(
    network: Network, made: dict[str, Path], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    variables = {"release_file": str(made["broken"]), "upgrade_report": str(report)}
    play = network.play("upgrade", **variables).failed()
    assert "is not healthy with release" in play.prose
    assert "submitted failed: POST /items: 500" in play.prose
    assert f"It went back to {id_of(made['old'])} and is healthy with it" in (play.prose)
    assert current(network) == [id_of(made["old"])] * 4
    assert play.recap["validator-2"]["rescued"] == 0
    done = [step.get("what") or step["step"] for step in steps(report)]
    assert done == ["plan", "check-quorum", *["wait-healthy"] * 2, ITEM, "validator-1 went back"]
    network.play("health").ok()


def test_clients_go_on_during_an_upgrade_that_is_killed_and_run_again(
    network: Network, made: dict[str, Path], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    variables = {"release_file": str(made["new"]), "upgrade_report": str(report)}
    old, new = id_of(made["old"]), id_of(made["new"])
    with flowing(network, WITH_SERVICES, "flow", pause=0.02, clients=CLIENTS) as flow:
        play = network.begin("upgrade", **variables)
        wait_until_stopped(network["validator-2"])
        play.stop()
        assert current(network)[0] == new
        assert current(network)[2:] == [old, old]
        before = len(flow.accepted)
        network.play("upgrade", **variables).ok()
        during = len(flow.accepted)
        flow.until(ITEMS, timeout=600)
    assert current(network) == [new] * 4
    assert during > before > 0
    heights.agreed(network, WITH_SERVICES)
    items = [step for step in steps(report) if step.get("what") == ITEM]
    assert [step["from"] for step in items[-4:]].count("validator-1") == 2
    assert all(step["smoke"]["ok"] for step in items)
    for name in WITH_SERVICES:
        drained_before_the_node(network, name)
    # The deployment has nothing left to do, and nothing runs from the earlier release.
    deployed = ("deploy", "--limit", ",".join(NAMES[1:3]))
    network.play(*deployed, release_file=str(made["new"])).unchanged()
    for name in NAMES:
        assert old not in run_from(network, name, "cometbft")


def wait_until_stopped(host: Host) -> None:
    """Wait until its node is down."""
    deadline = time.monotonic() + 900
    while host.run("systemctl is-active workflow-backend-cometbft", check=False).returncode == 0:
        assert time.monotonic() < deadline, host
        time.sleep(0.3)


def drained_before_the_node(network: Network, name: str) -> None:
    """The processor has said that it is done before CometBFT began to stop."""
    units = ("--unit=workflow-backend-processor", "--unit=workflow-backend-cometbft")
    lines = list(enumerate(network[name].journal(*units, "--output=cat").splitlines()))
    drained = max(place for place, line in lines if "processor stopped" in line)
    stopped = max(place for place, line in lines if STOPPING.match(line))
    assert drained < stopped


def test_back_to_the_release_before(network: Network, made: dict[str, Path]) -> None:
    old = id_of(made["old"])
    with flowing(network, WITH_SERVICES, "back"):
        play = network.play("rollback").ok()
    assert f"from release {id_of(made['new'])} to {old}, one host at a time" in play.prose
    assert current(network) == [old] * 4
    again = network.play("rollback", plan_only=True).unchanged()
    assert f"every host has release {old}" in again.prose
