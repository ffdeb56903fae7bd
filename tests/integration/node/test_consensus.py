"""The mended index and the cache of contracts' IR are nothing that consensus sees."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from network_harness import Member, Network
from node_harness import Node
from processes import wait_until
from toolchain_harness import REPO, Toolchain
from xian_py import Wallet

ODD = (Path(__file__).parent / "con_odd.s.py").read_text()
JOBS = (REPO / "contracts" / "con_job_workflow.s.py").read_text()
CALLER = """
import con_odd

@export
def store(key: str, value: str):
    con_odd.store(key=key, value=value)
    con_odd.refuse(reason="it never stands")
"""
# As a release of the app would be that the cache is not written for.
UNKNOWN = """
import sys
from workflow_backend_node import app, ir_cache

ir_cache.WRITTEN_FOR["xian_vm_core"] = "0" * 64
sys.exit(app.main())
"""


def upstreams_app(node: Node) -> list[str]:
    app = Path(node.toolchain["node_python"]).with_name("xian-abci")
    return ["env", f"HOME={node.home.parent}", str(app)]


class EitherApp(Node):
    """A node whose app is ours, or upstream's as it is."""

    upstream = False

    def command(self, name: str) -> list[str]:
        if name != "abci" or not self.upstream:
            return super().command(name)
        return upstreams_app(self)


def test_upstreams_app_comes_to_the_same_state() -> None:
    with EitherApp(Toolchain(), "either-1") as node:
        node.deploy("con_odd", ODD)
        for arguments in ({"key": "a", "value": "b\0c"}, {"key": "n", "value": "9e999999"}):
            node.broadcast("con_odd", "store", arguments, wallet=Wallet())
        node.broadcast("con_odd", "refuse", {"reason": "a\0b"}, wallet=Wallet())
        wait_until(node.index_level, 10, "index level with the chain")
        node.kill("cometbft")
        node.kill("abci")
        shutil.rmtree(
            node.home / "xian"
        )  # the app's state: CometBFT gives the new app every block again
        (node.home / "xian").mkdir()
        shutil.chown(node.home / "xian", node.toolchain["account"])
        node.upstream = True
        node.start("abci", "cometbft")

        def follows() -> bool:
            try:
                # A transaction on top shows that CometBFT found the app's hash right for every
                # block before.
                receipt = node.broadcast("con_odd", "store", {"key": "z", "value": "z"})
                return bool(receipt["status"] == 0)
            except OSError:
                return False

        wait_until(follows, 60, "upstream's app follows the chain")


class AnyApp(Member):
    """A validator whose app has the cache, has none, or is upstream's as it is."""

    kind = "cached"

    def command(self, name: str) -> list[str]:
        match name, self.kind:
            case "abci", "upstream":
                return upstreams_app(self)
            case "abci", "unknown":
                return [self.toolchain["node_python"], "-c", UNKNOWN, str(self.home)]
        return super().command(name)


@pytest.fixture
def validators() -> Iterator[list[AnyApp]]:
    """Four of one network: two have the cache, two don't."""
    kinds = {"one": "cached", "two": "upstream", "three": "unknown", "four": "cached"}
    with ExitStack() as stack:
        network = Network(Toolchain(), "mixed-1", hosts=dict.fromkeys(kinds, 10))
        stack.callback(network.close)
        members: list[AnyApp] = []
        for host, kind in kinds.items():
            member = AnyApp(network, host, [peer.address for peer in members], index=False)
            stack.callback(member.close)
            member.kind = kind
            member.operator_key = network.operator_key
            member._make()
            member.start("abci", "cometbft")
            members.append(member)
        for member in members:
            member.wait_ready()
        yield members


def test_validators_with_and_without_the_cache_share_a_chain(validators: list[AnyApp]) -> None:
    one, _, unknown, _ = validators
    for name, source in (("con_job_workflow", JOBS), ("con_odd", ODD), ("con_caller", CALLER)):
        one.deploy(name, source)
    with pytest.raises(OSError, match="exists"):
        one.deploy("con_odd", ODD)
    item = {"item_id": "i", "payload_uri": "p"}
    sent: list[tuple[str, str, dict[str, Any], int]] = [
        ("con_job_workflow", "submit_item", item, 0),
        ("con_job_workflow", "submit_item", item, 1),
        ("con_job_workflow", "apply_items", {"batch": [item | {"action": "claim"}] * 2}, 0),
        ("con_job_workflow", "complete_item", {"item_id": "i", "result_uri": "r"}, 0),
        ("con_odd", "store", {"key": "k", "value": "\0\u00e9"}, 0),
        ("con_caller", "store", {"key": "k", "value": "v"}, 1),
        ("validators", "propose", {"member": "a" * 64, "power": 1}, 1),
        ("currency", "transfer", {"amount": 1, "to": "b" * 64}, 0),
    ]
    for contract, function, arguments, status in sent:
        receipt = one.broadcast(contract, function, arguments)
        assert receipt["status"] == status
    # Upstream uses up no nonce for it.
    assert "error" in one.broadcast("con_nowhere", "store", {}, wallet=Wallet())
    # The block after it holds what they came to with the last of these.
    height = one.broadcast("con_odd", "store", {"key": "z", "value": "z"})["height"]
    for member in validators:
        _wait_for(member, height)
        assert _answers(member, height) == _answers(one, height)
    assert "without the cache" in unknown.log("abci")
    assert not any("without the cache" in member.log("abci") for member in (one, validators[3]))


def _wait_for(member: Member, height: int) -> None:
    wait_until(lambda: member.height() >= height, 60, f"{member.host} has block {height}")


def _answers(member: Member, height: int) -> list[object]:
    """The headers, which hold the state's and the receipts' hashes, and the newest receipts."""
    blocks = range(1, height + 1)
    headers = [member.rpc("block", height=str(number))["block"]["header"] for number in blocks]
    return [*headers, member.rpc("block_results", height=str(height))]
