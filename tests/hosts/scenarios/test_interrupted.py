"""A deployment that is cut off anywhere: the next run finishes it, and nothing is left to do."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.hosts.network import Network

HOST = "backend-1"
GROUPS = {name: [HOST] for name in ("xian_node", "postgres", "workflow_services")}
CURRENT = "/opt/workflow-backend/current"


@pytest.fixture(scope="module")
def hosts(
    make_hosts: Callable[..., AbstractContextManager[Network]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Network]:
    with make_hosts("interrupted", {HOST: "forky"}, GROUPS) as booted:
        booted.variables = {
            "xian_network_chain_id": "interrupted-1",
            "xian_network_directory": str(tmp_path_factory.mktemp("made") / "network"),
            "xian_network_unencrypted": True,
        }
        booted.play("prepare-network").ok()
        yield booted


def test_a_rehearsal_of_the_first_deployment_tells_and_changes_nothing(hosts: Network) -> None:
    before = hosts[HOST].output("find /etc /opt /var/lib -newer /etc/hostname -type f | wc -l")
    output = hosts.play("deploy", "--check", "--diff").ok()
    assert output.recap[HOST]["changed"] > 0
    after = hosts[HOST].output("find /etc /opt /var/lib -newer /etc/hostname -type f | wc -l")
    assert (before, hosts[HOST].run("ls -A /opt").stdout) == (after, "")


@pytest.mark.parametrize(
    ("point", "trouble"),
    [
        ("TASK [release : Upload the archive of the release]", "cut"),
        ("TASK [postgres : Create the cluster and the database]", "reboot"),
        ("TASK [program : Define and run the programs of node]", "kill Ansible"),
        ("TASK [workflow_contract : Bootstrap the contract, its workers and their funds]", "cut"),
        ("TASK [program : Define and run the programs of services]", "reboot"),
    ],
)
def test_interrupted_run_is_named_and_finished_by_the_next(
    hosts: Network, point: str, trouble: str
) -> None:
    host = hosts[HOST]
    play = hosts.begin("deploy").until(point)
    if trouble == "kill Ansible":
        play.stop()
    else:
        host.cut() if trouble == "cut" else host.reboot()
        output = play.failed().output
        assert f"fatal: [{HOST}" in output
        if trouble == "cut":
            host.mend()
    assert host.run(f"test -L {CURRENT} -o ! -e {CURRENT}").returncode == 0
    if host.run(f"test -e {CURRENT}", check=False).returncode == 0:
        assert host.run(f"test -e {CURRENT}/manifest.json").returncode == 0


def test_after_all_of_that_one_run_is_enough_and_the_next_changes_nothing(hosts: Network) -> None:
    began = time.monotonic()
    hosts.play("deploy").ok()
    finished = time.monotonic()
    hosts.play("deploy").unchanged()
    again = time.monotonic()
    hosts.play("deploy", "--check", "--diff").unchanged()
    hosts.play("health").ok()
    hosts.play("smoke").ok()
    print(f"finished in {finished - began:.0f} s, the same again in {again - finished:.0f} s")


def test_a_second_operator_at_the_same_time_does_no_harm(hosts: Network) -> None:
    """Both see one host; whoever comes second waits or is told, and the state is one of the two."""
    first = hosts.begin("deploy", xian_node_log_level="WARNING")
    second = hosts.begin("deploy", xian_node_log_level="WARNING")
    codes = {first.code, second.code}
    assert 0 in codes
    hosts.play("deploy", xian_node_log_level="WARNING").ok()
    hosts.play("deploy", xian_node_log_level="WARNING").unchanged()


def test_a_wrong_key_and_a_wrong_chain_are_one_clear_line(hosts: Network) -> None:
    hosts.play("deploy").ok()
    home = "/var/lib/workflow-backend/node/.cometbft/config"
    before = hosts[HOST].output(f"sha256sum {home}/priv_validator_key.json")
    output = hosts.play("deploy", xian_network_chain_id="another-1").failed().output
    assert "another-1" in output
    assert "interrupted-1" in output
    assert hosts[HOST].output(f"sha256sum {home}/priv_validator_key.json") == before
    network = Path(hosts.variables["xian_network_directory"])
    wallet = network / "wallets" / f"processor-{HOST}.key"
    kept = wallet.read_text()
    try:
        wallet.write_text("not a key\n")
        output = hosts.play("deploy").failed().output
    finally:
        wallet.write_text(kept)
        wallet.chmod(0o600)
    assert "not a key" not in output
    assert HOST in output
    assert json.loads((network / "wallets" / "wallets.json").read_text())
    hosts.play("deploy").ok()
    hosts.play("deploy").unchanged()
