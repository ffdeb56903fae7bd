"""A lost host comes back by its home: what is refused, and nothing is signed twice."""

import io
import json
import shlex
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.hosts import heights
from tests.hosts.flow import flowing
from tests.hosts.network import Network
from tests.hosts.validators import (
    HOME,
    LOSE_EVERYTHING,
    NODE,
    RPC,
    SERVING,
    eventually,
    four,
    height,
    signed,
    starts,
    steps,
)

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.recovery.actions import act

CHAIN = "recovery-1"
ITEMS = 1000  # that are accepted while a host is lost and comes back
CLIENTS = 16


@pytest.fixture(scope="module")
def hosts(
    make_hosts: Callable[..., AbstractContextManager[Network]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Network]:
    with four(make_hosts, "recovery", tmp_path_factory.mktemp("control")) as booted:
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
    for name, sentence in BAD.items():
        given = changed(archive, tmp_path / f"{name}.tar.gz", name)
        play = hosts.play("push-home", "--limit", "v4", xian_recovery_archive=str(given)).failed()
        assert sentence in play.prose, name
    pinned = {"xian_recovery_archive": str(archive), "xian_recovery_sha256": "0" * 64}
    play = hosts.play("push-home", "--limit", "v4", **pinned).failed()
    assert "has the SHA-256 sum" in play.prose
    play = hosts.play("push-home", "--limit", "v3", xian_recovery_archive=str(archive)).failed()
    assert "it is another host's home" in play.prose
    play = hosts.play("push-home", xian_recovery_archive=str(archive)).failed()
    assert "one host at a time" in play.prose
    assert (
        "has a home with blocks"
        in hosts.play("bootstrap-state-sync", xian_recovery_host="v4").failed().prose
    )
    hosts["v3"].run(f"systemctl stop {NODE}")
    pushed: dict[str, object] = {"xian_recovery_archive": str(archive)}
    fetched: dict[str, object] = {"xian_recovery_host": "v4", "xian_recovery_give_up_data": True}
    for name, limit, arguments in (
        ("push-home", ("--limit", "v4"), pushed),
        ("bootstrap-state-sync", (), fetched),
    ):
        printed = hosts.play(name, *limit, **arguments).failed().prose
        sentence = "without v4 20 of 40 voting power is up: the chain stands still; not up: v3"
        assert sentence in printed, name
    hosts["v3"].run(f"systemctl start {NODE}")
    item(hosts)
    assert starts(node) == before
    eventually(lambda: height(node) > first, "the chain goes on")


def test_a_plan_changes_nothing(hosts: Network, archive: Path) -> None:
    before = starts(hosts["v4"])
    play = hosts.play(
        "push-home", "--limit", "v4", xian_recovery_archive=str(archive), plan_only=True
    ).unchanged()
    assert "What the validator has signed is never lowered" in play.prose
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
        act("double-sign-guard", request, check=False)


# --- a host whose home is lost, and then all that it had

KEY_GONE = "TASK [xian_recovery : Remove the archive, which has a key in it]"
SWAP = "TASK [xian_recovery : Swap the homes]"


def test_a_lost_home_is_not_made_anew_but_pushed(hosts: Network, archive: Path) -> None:
    node, given = hosts["v4"], {"xian_recovery_archive": str(archive)}
    with flowing(hosts, SERVING, "pushed", pause=0, clients=CLIENTS) as flow:
        flow.until(20)
        node.run(f"systemctl stop {NODE} && rm -rf {HOME}")
        flow.until(len(flow.accepted) + 20)  # the others go on
        play = hosts.play("deploy", "--limit", "v4").failed()
        assert "with a home created anew it may sign twice" in play.prose
        assert "push-home.yml --limit v4" in play.prose
        node.run(LOSE_EVERYTHING)
        for reached in (KEY_GONE, SWAP):
            hosts.begin("push-home", "--limit", "v4", **given).until(reached).stop()
        hosts.play("push-home", "--limit", "v4", **given).ok()
        begun = signed(node)
        assert begun > int(json.loads(_member(archive, "priv_validator_state.json"))["height"])
        hosts.play("deploy", "--limit", "v4").ok()
        eventually(lambda: signed(node) > begun, "it signs on")
        flow.until(ITEMS, timeout=600)
    heights.agreed(hosts, SERVING)
    log = node.output("journalctl --no-pager --output cat --unit workflow-backend-cometbft")
    assert "check_blocks=3" in log
    hosts.play("restart", "--limit", "v4").ok()  # an ordinary start does not look back
    assert "first-start.json" not in node.output(f"ls {HOME}")
    hosts.play("deploy", "--limit", "v4").unchanged()
    (verdict,) = [
        s for s in steps(hosts) if s["step"] == "double-sign-guard" and s.get("check_blocks")
    ][-1:]
    assert verdict["proven"].startswith("it signed none of the blocks")


def _member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(f"./data/{name}")
        assert file is not None
        return file.read()
