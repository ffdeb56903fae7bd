"""The installed collection deploys a host, from another project's inventory and by full names."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from collection_harness import Project
from tests.hosts.network import Network
from tests.hosts.plays import read_recap

GROUPS = dict.fromkeys(("xian_node", "postgres", "workflow_services"), ("one",))


def test_installed_collection_deploys_a_host(
    make_hosts: Callable[..., AbstractContextManager[Network]], tmp_path: Path
) -> None:
    project = Project(tmp_path)
    with make_hosts("collection", {"one": "bookworm"}, groups=GROUPS) as hosts:
        hosts.variables = {
            "xian_network_chain_id": "chain-of-another-project-1",
            "xian_network_directory": str(tmp_path / "network"),
            "xian_network_unencrypted": True,
        }
        inventory = hosts.write_inventory()
        for name in ("prepare_network", "deploy", "health", "smoke"):
            done = project.play(name, inventory)
            assert done.returncode == 0, done.stdout + done.stderr
        again = project.play("deploy", inventory)
        assert read_recap(again.stdout)["one"]["changed"] == 0, again.stdout
