"""The tunnels of a state sync last until the node has caught up, and it is held to its peers."""

import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.network.report import run_action
from workflow_backend.operations.recovery.actions import ACTIONS

from .fake_chain import CHAIN, Chain

type Ways = dict[str, dict[str, str]]
type Serve = Callable[..., Ways]
type Ask = Callable[..., dict[str, Any]]

STUB = Path(__file__).parents[1] / "operations" / "ssh.py"


def free_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return [one.getsockname()[1], other.getsockname()[1]]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def ssh(tmp_path: Path) -> str:
    program = tmp_path / "ssh"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {STUB} "$@"\n')
    program.chmod(0o700)
    return f"{program} host"


@pytest.fixture
def ask(serve: Serve, ssh: str) -> Ask:
    """Ask for a node of one chain, and peers of another, which most often is the same."""

    def run(node_of: Chain, peers_of: Chain, **more: Any) -> dict[str, Any]:
        ways = {name: way | {"ssh": ssh} for name, way in serve(peers_of, "b", "c").items()}
        request = {
            "chain_id": CHAIN,
            "node": serve(node_of, "a")["a"] | {"ssh": ssh},
            "peers": ways,
            "node_ids": {name: name * 40 for name in "bc"},
            "ports": dict(zip(ways, free_ports(), strict=True)),
            "height": 8,
            "seconds": 3,
        }
        return run_action(ACTIONS, "sync-tunnels", request | more, check=False)

    return run


def test_tunnels_return_where_the_node_has_caught_up(ask: Ask) -> None:
    chain = Chain()
    answer = ask(chain, chain)
    assert (answer["height"], answer["base"]) == (10, 1)
    assert answer["app_hash"] == f"{9:064x}"
    assert [peer["app_hash"] for peer in answer["peers"]] == [answer["app_hash"]] * 2


def test_tunnels_are_open_meanwhile_and_closed_afterwards(ask: Ask) -> None:
    chain, ports = Chain(height=5), free_ports()
    seen = []

    def look() -> None:
        deadline = time.monotonic() + 10
        while not all(map(listens, ports)) and time.monotonic() < deadline:
            time.sleep(0.05)
        seen.append(all(map(listens, ports)))
        chain.grow(4)

    watcher = threading.Thread(target=look)
    watcher.start()
    ask(chain, chain, ports=dict(zip("bc", ports, strict=True)), seconds=20)
    watcher.join()
    assert seen == [True]
    assert not any(map(listens, ports))


def test_tunnels_refuse_a_node_with_another_state(ask: Ask) -> None:
    class Other(Chain):
        def answer(self, host: str, method: str, params: dict[str, Any]) -> Any:
            if method == "header":
                return {"header": {"app_hash": "EE" * 32}}
            return super().answer(host, method, params)

    with pytest.raises(RecoveryRefused, match="has the app hash"):
        ask(Other(), Chain())


def test_tunnels_name_a_node_that_stays_behind(ask: Ask) -> None:
    chain = Chain(height=5)
    with pytest.raises(RecoveryRefused, match="within 1 s: it is at height 5"):
        ask(chain, chain, seconds=1)


def test_tunnels_close_with_their_run(ask: Ask, tmp_path: Path) -> None:
    chain = Chain(height=5)
    with pytest.raises(RecoveryRefused, match="is over"):
        ask(chain, chain, hold=str(tmp_path / "gone"))


def test_tunnels_name_a_peer_that_is_gone(ask: Ask, ssh: str) -> None:
    gone = {"b": {"url": "http://127.0.0.1:1", "ssh": ssh}}
    with pytest.raises(RecoveryRefused, match="b: no answer"):
        ask(Chain(), Chain(), peers=gone, ports={"b": 1})


def test_tunnels_refuse_a_node_of_this_machine(ask: Ask, serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match="this machine"):
        ask(Chain(), Chain(), node=serve(Chain(), "a")["a"])
