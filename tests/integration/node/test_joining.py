"""Nodes that join a network: by its genesis and peers, and with keys that have signed elsewhere."""

import json
import os
import shutil
import signal
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from node_harness import PROGRAMS, Node, Toolchain, free_port, genesis_contracts, wait_until

CHAIN = "joined-1"


class Network:
    """The folder of a network, as `prepare-network` makes it for some hosts."""

    def __init__(self, toolchain: Toolchain, **request: Any) -> None:
        self.toolchain = toolchain
        self.folder = toolchain.folder()
        self.public: dict[str, Any] = toolchain.ask(
            "network",
            {
                "directory": str(self.folder / "network"),
                "chain_id": CHAIN,
                "contracts": str(genesis_contracts(self.folder)),
                **request,
            },
        )["network"]

    @property
    def genesis(self) -> Path:
        return self.folder / "network" / "genesis.json"

    def identity(self, host: str) -> Path:
        return self.folder / "network" / "hosts" / host

    def close(self) -> None:
        shutil.rmtree(self.folder)


class Member(Node):
    """A node of one host of a network; `address` is where its peers reach it."""

    def __init__(self, network: Network, host: str, peers: list[str]) -> None:
        port = free_port()
        super().__init__(
            network.toolchain,
            CHAIN,
            p2p_address=f"127.0.0.1:{port}",
            peers=network.public["peers"] + peers,
        )
        self.public = network.public["hosts"][host]
        self.address = f"{self.public['node_id']}@127.0.0.1:{port}"
        self.network = network
        self.host = host

    def _make(self) -> None:
        identity = self.folder / "network" / "hosts" / "node"
        shutil.copytree(self.network.identity(self.host), identity)
        for path in (identity, *identity.parents[:2], *identity.iterdir()):
            os.chown(path, self.toolchain.account.pw_uid, self.toolchain.account.pw_gid)
        network = self.network.public | {"hosts": {"node": self.public}}
        self.toolchain.ask("home", self.home_request(network))
        self._make_cluster()

    def state(self) -> int:
        """The height that its validator signed last."""
        path = self.home / "data" / "priv_validator_state.json"
        return int(json.loads(path.read_text())["height"])


class Members:
    """Two validators of a network that was founded."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.toolchain = Toolchain()
        self.network = self.prepared(hosts={"one": 10, "two": 10})
        self.one = self.begun(self.network, "one")
        self.two = self.begun(self.network, "two", self.one)
        operator = self.network.folder / "network" / "operator.json"
        self.one.operator_key = json.loads(operator.read_text())["private_key"]
        for member in (self.one, self.two):
            member.wait_ready()

    def prepared(self, **request: Any) -> Network:
        network = Network(self.toolchain, **request)
        self.stack.callback(network.close)
        return network

    def begun(self, network: Network, host: str, *peers: Member) -> Member:
        member = Member(network, host, [peer.address for peer in peers])
        self.stack.callback(member.close)
        member._make()
        member.start(*PROGRAMS)
        return member


def _send(member: Member) -> None:
    """Send a transaction; CometBFT waits ten seconds for its block, which may come later."""
    try:
        member.broadcast("currency", "transfer", {"amount": 1, "to": "b" * 64})
    except OSError as error:
        if "timed out" not in str(error):
            raise


@pytest.fixture(scope="module")
def members() -> Iterator[Members]:
    with ExitStack() as stack:
        yield Members(stack)


def test_a_host_joins_by_genesis_and_peers(members: Members) -> None:
    joined = members.prepared(
        hosts={"three": 0}, genesis=str(members.network.genesis), peers=[members.one.address]
    )
    three = members.begun(joined, "three")
    three.wait_ready()
    height = members.one.broadcast("currency", "transfer", {"amount": 1, "to": "a" * 64})["height"]
    wait_until(lambda: three.height() >= height, 30, "the new node has the block")
    assert three.rpc("block", height=str(height)) == members.one.rpc("block", height=str(height))
    assert three.rpc("status")["validator_info"]["voting_power"] == "0"
    for name in reversed(PROGRAMS):
        three.kill(name)


def test_a_validator_moves_with_its_home(members: Members) -> None:
    for name in reversed(PROGRAMS):
        members.two.kill(name, signal.SIGTERM)
    signed = members.two.state()
    assert signed > 0
    archive = members.network.folder / "home.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(members.two.home, ".cometbft")
    os.chown(archive, members.toolchain.account.pw_uid, members.toolchain.account.pw_gid)
    moved = members.prepared(
        hosts={"two": 0},
        genesis=str(members.network.genesis),
        homes={"two": str(archive)},
        peers=[members.one.address],
    )
    assert moved.public["hosts"]["two"] == members.network.public["hosts"]["two"]
    two = members.begun(moved, "two")
    assert two.state() == signed
    two.wait_ready()
    before = members.one.height()
    # A node that is behind refuses a transaction by its nonce, and nobody sends it again.
    wait_until(lambda: two.height() == before, 30, "the moved node is level")
    # One validator of two has no majority: the chain goes on because this one signs.
    _send(members.one)
    wait_until(lambda: members.one.height() > before, 120, "a block of both")
    wait_until(lambda: two.height() > before, 30, "the moved node has the block")
    assert two.state() > before
