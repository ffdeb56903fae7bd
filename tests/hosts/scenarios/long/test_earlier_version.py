"""Hosts and data of the version before go on with this one, brought by the README's commands."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.hosts import REPO, heights
from tests.hosts.flow import flowing
from tests.hosts.network import Network
from tests.hosts.releases import current, id_of

EARLIER = "1bc7ca65cefd4669483062360ab4c07168896062"
"""The last commit of the version before; a new version moves it on."""

NAMES = ("validator-1", "validator-2", "validator-3", "validator-4")
WITH_SERVICES = NAMES[:2]
ITEMS = 200


class Checkout:
    """A checkout of another commit, with tools of its own."""

    def __init__(self, folder: Path, commit: str) -> None:
        self.folder = folder
        folder.mkdir()
        archive = subprocess.run(
            ["git", "archive", commit], cwd=REPO, capture_output=True, check=True
        ).stdout
        subprocess.run(["tar", "-xf", "-"], cwd=folder, input=archive, check=True)
        # What takes long to build depends on nothing that differs.
        (folder / ".cache").mkdir()
        for built in ("cometbft", "packages"):
            shutil.copytree(REPO / ".cache" / built, folder / ".cache" / built, symlinks=True)
        self.run("make", "release")

    @property
    def release(self) -> Path:
        """The description of the release that it built."""
        return (self.folder / "dist" / "latest.json").resolve()

    def play(self, network: Network, playbook: str) -> None:
        """Run one of its playbooks on the hosts of a network, with its Ansible."""
        inventory = str(network.write_inventory())
        self.run(".venv/bin/ansible-playbook", "-i", inventory, f"playbooks/{playbook}.yml")

    def run(self, *command: str) -> None:
        """Run a command in it; what it printed is in the error when it fails."""
        own = ("ANSIBLE_", "VIRTUAL_ENV", "PYTHONPATH")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(own)}
        # This clone's tools would take the place of its own.
        folders = os.environ["PATH"].split(os.pathsep)
        environment["PATH"] = os.pathsep.join(
            folder for folder in folders if not Path(folder).is_relative_to(REPO)
        )
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}"


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("earlier") / "checkout", EARLIER)


@pytest.fixture(scope="module")
def network(
    make_hosts: Callable[..., AbstractContextManager[Network]], earlier: Checkout
) -> Iterator[Network]:
    suites = dict(zip(NAMES, ("bookworm", "forky", "bookworm", "forky"), strict=True))
    groups = {"xian_node": NAMES, "postgres": WITH_SERVICES, "workflow_services": WITH_SERVICES}
    with make_hosts("earlier", suites, groups=groups) as hosts:
        hosts.variables = {
            "release_file": str(earlier.release),
            "xian_network_chain_id": "earlier-1",
            "xian_network_directory": str(hosts.folder / "network"),
            "xian_network_unencrypted": True,
            "upgrade_report": str(hosts.folder / "changes.json"),
            "xian_node_p2p_address": "{{ ansible_host }}:26656",
            "xian_node_index": "{{ 'postgres' in group_names }}",
        }
        earlier.play(hosts, "prepare-network")
        earlier.play(hosts, "deploy")
        yield hosts


@pytest.mark.timeout(2400)
def test_upgrade_takes_hosts_and_items_of_the_version_before_along(
    network: Network, earlier: Checkout
) -> None:
    release = (REPO / "dist" / "latest.json").resolve()
    assert current(network) == [id_of(earlier.release)] * len(NAMES)
    del network.variables["release_file"]  # by default the last build of the clone
    with flowing(network, WITH_SERVICES, "kept") as flow:
        flow.until(ITEMS, timeout=600)
        network.play("upgrade", plan_only=True).unchanged()
        network.play("upgrade").ok()
        flow.until(len(flow.accepted) + ITEMS, timeout=600)
    assert current(network) == [id_of(release)] * len(NAMES)
    heights.agreed(network, WITH_SERVICES)
    network.play("health").ok()
    network.play("deploy").unchanged()


def test_rollback_leads_back_to_the_version_before(network: Network, earlier: Checkout) -> None:
    network.play("rollback").ok()
    assert current(network) == [id_of(earlier.release)] * len(NAMES)
    heights.agreed(network, WITH_SERVICES)
    earlier.play(network, "health")
