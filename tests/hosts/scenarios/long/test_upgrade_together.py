"""Two validators can't do without each other: they stop at one height and go on together."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.hosts import REPO, releases
from tests.hosts.flow import flowing
from tests.hosts.network import Network
from tests.hosts.releases import current, id_of

type MakeHosts = Callable[..., AbstractContextManager[Network]]

NAMES = ("validator-1", "validator-2")
HEIGHT = (
    'python3 -c "import json, urllib.request as u; print(json.load(u.urlopen('
    "'http://127.0.0.1:26657/status'))['result']['sync_info']['latest_block_height'])\""
)
RUNNING = (
    "systemctl list-units --type=service --state=active,activating --plain --no-legend "
    "'workflow-backend-*'"
)
SLOW = """\
[slow]
handler = "command"
argv = ["/bin/sh", "-c", "sleep 2; echo urn:done"]
concurrency = 20
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The releases: the one that runs, one that is as good, and one whose app does not start."""
    folder = tmp_path_factory.mktemp("releases")
    new = releases.build(folder, "0.1.1")
    app = "services/node/workflow_backend_node/app.py"
    broken = releases.build(folder, "0.1.2", {app: ('WRITTEN_FOR = "0.9.3"', 'WRITTEN_FOR = "0"')})
    return {
        "old": (REPO / "dist" / "latest.json").resolve(),
        "new": releases.with_another_app(new),
        "broken": releases.with_another_app(broken),
    }


@pytest.fixture(scope="module")
def network(
    make_hosts: MakeHosts, made: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    handlers = tmp_path_factory.mktemp("handlers") / "handlers.toml"
    handlers.write_text(SLOW)
    suites = dict.fromkeys(NAMES, "bookworm")
    groups = dict.fromkeys(("xian_node", "postgres", "workflow_services"), NAMES)
    with make_hosts("together", suites, groups=groups) as hosts:
        hosts.variables = {
            "xian_network_chain_id": "together-1",
            "xian_network_directory": str(hosts.folder / "network"),
            "xian_network_unencrypted": True,
            "upgrade_report": str(hosts.folder / "changes.json"),
            "xian_node_p2p_address": "{{ ansible_host }}:26656",
            "xian_node_block_interval": "3s",
            "workflow_services_handlers": str(handlers),
        }
        hosts.play("prepare-network").ok()
        hosts.play("deploy", release_file=str(made["old"])).ok()
        yield hosts


def height(network: Network) -> int:
    return int(network["validator-1"].output(HEIGHT))


def step(report: Path, name: str) -> dict[str, Any]:
    """The last step of that name."""
    steps: list[dict[str, Any]] = json.loads(report.read_text())["steps"]
    return next(one for one in reversed(steps) if one["step"] == name)


def test_one_at_a_time_is_refused(network: Network, made: dict[str, Path]) -> None:
    play = network.play(
        "upgrade", release_file=str(made["new"]), upgrade_consensus_compatible=True
    ).failed()
    assert "no more validators can be up" in play.prose
    assert "-e upgrade_together=true" in play.prose
    assert "playbooks/stop.yml" in network.play("restart").failed().prose


def test_no_node_is_left_out(network: Network, made: dict[str, Path]) -> None:
    play = network.play(
        *("upgrade", "--limit", "validator-1"),
        release_file=str(made["new"]),
        upgrade_together=True,
    ).failed()
    assert "leaves out validator-2" in play.prose
    assert current(network) == [id_of(made["old"])] * 2


def test_a_release_whose_node_does_not_start_is_left_by_all(
    network: Network, made: dict[str, Path], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    play = network.play(
        "upgrade",
        release_file=str(made["broken"]),
        upgrade_together=True,
        upgrade_report=str(report),
        xian_node_ready_seconds=10,
    ).failed()
    assert "All hosts went back to" in play.prose
    assert current(network) == [id_of(made["old"])] * 2
    assert (
        step(report, "wait-healthy")["nodes"]["validator-1"]["height"]
        > step(report, "assert-same-height")["height"]
    )
    network.play("health").ok()


def test_all_stop_at_one_height_and_go_on_together(
    network: Network, made: dict[str, Path], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    before = height(network)
    play = network.play(
        "upgrade",
        release_file=str(made["new"]),
        upgrade_together=True,
        upgrade_report=str(report),
    ).ok()
    assert "all at once, the chain stands still meanwhile" in play.prose
    assert current(network) == [id_of(made["new"])] * 2
    assert before <= step(report, "assert-same-height")["height"] < height(network)
    with flowing(network, NAMES, "after", kind="slow"):
        network.play("health").ok()


def test_a_stop_lets_the_processor_finish_before_its_node_goes(network: Network) -> None:
    with flowing(network, NAMES, "stop", kind="slow") as flow:
        flow.until(12)
        flow.stop()
        play = network.play("stop").ok()
        assert "0 of 20 voting power" in play.prose or "the chain stands still" in play.prose
        for host in network:
            assert "processor stopped" in host.journal("--unit=workflow-backend-processor")
            assert host.output(RUNNING) == ""
        assert "ActiveState=inactive" in network.play("status").ok().prose
        network.play("stop").unchanged()
        network.play("start").ok()
        # Nobody's lease had to pass: what was claimed was reported, or never claimed.
        flow.settle()
        assert flow.attempts() == {1}
    network.play("start").unchanged()


def test_back_together(network: Network, made: dict[str, Path]) -> None:
    refused = network.play("rollback").failed()
    assert "has another app, VM or CometBFT" in refused.prose
    old = [id_of(made["old"])] * 2
    cut = network.begin("rollback", upgrade_together=True)
    wait_until(lambda: current(network) == old)
    cut.stop()
    assert all(host.output(RUNNING) == "" for host in network)  # what is current is not what runs
    again = network.play("rollback", upgrade_together=True).ok()
    assert "all start with it at once" in again.prose
    assert current(network) == old
    network.play("health").ok()


def wait_until(there: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 900
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.1)
