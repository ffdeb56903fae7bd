"""What is lost on a host that has everything comes back by its runbook, while items flow."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.hosts import REPO
from tests.hosts.flow import TOKEN, flowing
from tests.hosts.heights import agreed
from tests.hosts.host import Host
from tests.hosts.network import Network
from tests.hosts.runbooks import follow

from workflow_backend.operations.wallets import make_wallets

CHAIN = "runbooks-1"
STATE = "/var/lib/workflow-backend"
HANDLERS = """\
[job]
handler = "echo"
[slow]
handler = "command"
argv = ["/bin/sh", "-c", "sleep 1; echo '{\\"result_uri\\": \\"urn:done\\"}'"]
concurrency = 8
"""
# The disk of the index is one of its own, and small.
SMALL_DISK = f"mkdir -p {STATE}/postgres && mount -t tmpfs -o size=2g tmpfs {STATE}/postgres"
API = "http://127.0.0.1:8000"
ANSWER = (
    "python3 -c 'import sys, urllib.request as u; "
    f'shown = {{"Authorization": "Bearer " + open("{TOKEN}").read().strip()}}; '
    "print(u.urlopen(u.Request(sys.argv[1], headers=shown)).read().decode())'"
)


@pytest.fixture(scope="module")
def network(
    make_hosts: Callable[..., AbstractContextManager[Network]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Network]:
    groups = {name: ["one"] for name in ("xian_node", "postgres", "workflow_services")}
    folder = tmp_path_factory.mktemp("control")
    handlers = folder / "handlers.toml"
    handlers.write_text(HANDLERS)
    with make_hosts("runbooks", {"one": "bookworm"}, groups=groups) as hosts:
        hosts.variables = {
            "xian_network_chain_id": CHAIN,
            "xian_network_directory": str(folder / "network"),
            "xian_network_unencrypted": True,
            "workflow_services_handlers": str(handlers),
            # Of the last build, though another one ends meanwhile.
            "release_file": str((REPO / "dist" / "latest.json").resolve()),
        }
        hosts["one"].run(SMALL_DISK)
        hosts.play("prepare-network").ok()
        hosts.play("deploy").ok()
        yield hosts


@pytest.fixture
def host(network: Network) -> Host:
    return network["one"]


def wallets(network: Network) -> dict[str, str]:
    file = Path(network.variables["xian_network_directory"]) / "wallets" / "wallets.json"
    found: dict[str, str] = json.loads(file.read_text())
    return found


def api(host: Host, path: str) -> Any:
    return json.loads(host.output(f"{ANSWER} {API}{path}"))


def well(network: Network) -> None:
    """Heights agree and nothing is wrong."""
    agreed(network, ["one"])
    network.play("health").ok()


def test_the_projection(network: Network, host: Host) -> None:
    with flowing(network, ["one"], "projection") as flow:
        flow.until(50)
        before = host.output(f"ls -i {STATE}/projection/projection.sqlite3")
        follow(network, "one", "The projection")
        flow.until(len(flow.accepted) + 50)
    assert host.output(f"ls -i {STATE}/projection/projection.sqlite3") != before
    well(network)


def test_the_processors_journal(network: Network, host: Host) -> None:
    with flowing(network, ["one"], "journal", pause=1, kind="slow") as flow:
        flow.until(20)
        host.run("systemctl kill --signal KILL workflow-backend-processor")
        follow(network, "one", "The processor's journal")
        flow.stop()
        flow.settle()
        assert flow.attempts() <= {1, 2}
    well(network)


def test_the_indexs_database(network: Network, host: Host) -> None:
    with flowing(network, ["one"], "index") as flow:
        flow.until(50)
        follow(network, "one", "The index's database")
        flow.until(len(flow.accepted) + 50)
    host.run(f"rm -r {STATE}/postgres/cluster.lost")
    well(network)


def test_a_single_validators_older_home(network: Network, host: Host, tmp_path: Path) -> None:
    """What came after the backup is lost, and no part of the backend goes on telling of it."""
    home, units = f"{STATE}/node/.cometbft", "workflow-backend-abci workflow-backend-cometbft"
    kept, lost = smoke(network), tmp_path / "home.tar.gz"
    host.run(f"systemctl stop {units} && tar -C {home} -czf /root/home.tar.gz .", timeout=120)
    host.run("systemctl start workflow-backend-{abci,cometbft,projector,processor,api}")
    config = str(network.folder / "ssh_config")
    subprocess.run(["scp", "-q", "-F", config, "one:/root/home.tar.gz", lost], check=True)
    gone = smoke(network)
    given = {"xian_recovery_archive": relative(lost), "xian_recovery_sure": True}
    pids = host.output(f"systemctl show --property=MainPID {units}")
    output = network.play("push-home", **given | {"xian_recovery_sure": False}).failed().output
    assert "nobody can tell whether the validator of one signs elsewhere" in output
    assert "a home of one has signed up to" in network.play("push-home", **given).failed().prose
    assert host.output(f"systemctl show --property=MainPID {units}") == pids

    host.run(f"systemctl stop {units} && rm -r {home}")
    assert "and the index would keep" in network.play("push-home", **given).failed().prose
    follow(network, "one", "A single validator's older home", BACKUP=str(lost))
    assert api(host, f"/items/{kept}")["item"]["status"] == "completed"
    assert host.run(f"{ANSWER} {API}/items/{gone}", check=False).returncode != 0
    with flowing(network, ["one"], "older") as flow:
        flow.until(20)
    host.run(f"rm -r {STATE}/postgres/cluster.lost {STATE}/node/lost")
    well(network)


def test_what_a_single_validator_signed(network: Network, host: Host) -> None:
    """A garbled signing state is named by all that would start the node, and its runbook heals."""
    state = f"{STATE}/node/.cometbft/data/priv_validator_state.json"
    host.run("systemctl stop workflow-backend-{cometbft,abci}")
    height = json.loads(host.output(f"cat {state}"))["height"]
    host.run(f"truncate --size 0 {state}")
    for playbook in ("deploy", "start"):
        output = network.play(playbook).failed().output
        assert "priv_validator_state.json" in output
    assert "is empty" in network.play("deploy").failed().prose
    follow(network, "one", "What a single validator signed", BLOCK=str(int(height) - 1))
    with flowing(network, ["one"], "signed") as flow:
        flow.until(20)
    well(network)


def smoke(network: Network) -> str:
    """An item through the whole backend."""
    found = re.search(r"smoke-[0-9a-f]{12}", network.play("smoke").ok().output)
    assert found
    return found[0]


def relative(path: Path) -> str:
    """The path as from the folder that playbooks are run in."""
    return os.path.relpath(path, REPO)


def test_room_on_the_indexs_disk(network: Network, host: Host) -> None:
    with flowing(network, ["one"], "room") as flow:
        flow.until(50)
        host.run(f"dd if=/dev/zero of={STATE}/postgres/full bs=1M", check=False)
        flow.until(len(flow.accepted) + 100)
        assert "index" in network.play("health").failed().prose
        host.run(f"rm {STATE}/postgres/full")
        follow(network, "one", "Room on the index's disk")
        flow.until(len(flow.accepted) + 50)
    well(network)


def test_a_services_key_leaked(network: Network, host: Host) -> None:
    leaked = wallets(network)["processor-one"]
    with flowing(network, ["one"], "leaked", pause=1, kind="slow") as flow:
        flow.until(20)
        follow(network, "one", "A service's key leaked", LEAKED=leaked)
        flow.until(len(flow.accepted) + 20)
        flow.stop()
        flow.settle()  # what the old key had claimed is another's when its lease is over
    new = wallets(network)["processor-one"]
    assert new != leaked
    assert api(host, f"/items/{flow.accepted[-1]}")["item"]["worker"] == new
    network.variables["workflow_contract_former_workers"] = [leaked]
    network.play("deploy").unchanged()
    well(network)


def test_the_operators_role_is_handed_over(network: Network, tmp_path: Path) -> None:
    place = tmp_path / "heir"
    account = make_wallets(place, ["operator"], check=False)["wallets"]["operator"]
    output = follow(
        network,
        "one",
        "The operator's role is handed over",
        NEW=str(place),
        ACCOUNT=account,
        NAME=CHAIN,
    )
    assert f'"operator": "{account}"' in output
    founder = Path(network.variables["xian_network_directory"]) / "operator.json"
    old = json.loads(founder.read_text())
    network.variables.setdefault("workflow_contract_former_workers", []).append(old["public_key"])
    assert "only the operator may do this" in network.play("deploy").failed().prose
    key = f"{{{{ lookup('ansible.builtin.file', '{place}/operator.key') }}}}"
    network.variables["workflow_contract_operator_key"] = key
    network.play("deploy").ok()
    network.play("deploy").unchanged()
    well(network)
