"""Nodes that join a network: by its genesis and peers, and with keys that have signed elsewhere."""

import os
import signal
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from network_harness import Member, Network
from node_harness import PROGRAMS
from processes import wait_until
from toolchain_harness import Toolchain

CHAIN = "joined-1"


class Members:
    """Two validators of a network that was founded."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.toolchain = Toolchain()
        self.network = self.prepared(hosts={"one": 10, "two": 10})
        self.one = self.begun(self.network, "one")
        self.two = self.begun(self.network, "two", self.one)
        self.one.operator_key = self.network.operator_key
        for member in (self.one, self.two):
            member.wait_ready()

    def prepared(self, **request: Any) -> Network:
        network = Network(self.toolchain, CHAIN, **request)
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


def test_host_joins_by_genesis_and_peers(members: Members) -> None:
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


def test_validator_moves_with_its_home(members: Members) -> None:
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
