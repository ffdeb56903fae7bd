"""A copied index is compared with blocks of other peers than the one that it came from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.network.report import run_action
from workflow_backend.operations.recovery.actions import ACTIONS
from workflow_backend.operations.recovery.index_blocks import read_blocks

from .fake_chain import CHAIN, Chain

type Ways = dict[str, dict[str, str]]
type Serve = Callable[..., Ways]

NODE_IDS = {host: host * 40 for host in "bcde"}


def ask(peers: Ways, target: Path, *, check: bool = False, height: int = 30) -> dict[str, Any]:
    request = {
        "chain_id": CHAIN,
        "peers": peers,
        "node_ids": NODE_IDS,
        "source": "b",
        "height": height,
        "target": str(target),
    }
    return run_action(ACTIONS, "index-blocks", request, check=check)


def test_blocks_are_those_of_peers_other_than_the_source(serve: Serve, tmp_path: Path) -> None:
    peers = serve(Chain(height=45, hashes={9: "EE" * 32}), "b") | serve(Chain(height=45), "c", "d")
    answer = ask(peers, tmp_path / "copies" / "blocks.json")
    assert (answer["blocks"], answer["first"], answer["last"]) == (30, 1, 30)
    assert (answer["peers"], answer["source_alone"]) == ({"c": 30, "d": 30}, 0)
    known = read_blocks(tmp_path / "copies" / "blocks.json")
    assert sorted(known) == list(range(1, 31))
    assert known[9].hash == f"{9:064x}"


def test_blocks_that_only_the_source_has_are_named(serve: Serve, tmp_path: Path) -> None:
    peers = serve(Chain(height=45), "b") | serve(Chain(height=45, base=21), "c")
    answer = ask(peers, tmp_path / "blocks.json", check=True)
    assert (answer["first"], answer["source_alone"]) == (21, 20)
    assert not (tmp_path / "blocks.json").exists()


def test_blocks_of_peers_that_contradict_are_refused(serve: Serve, tmp_path: Path) -> None:
    honest, other = Chain(height=45), Chain(height=45, hashes={9: "EE" * 32})
    with pytest.raises(RecoveryRefused, match=r"do not agree on block 9: c has 0*9, d e+"):
        ask(serve(honest, "b", "c") | serve(other, "d"), tmp_path / "blocks.json")


def test_peer_that_keeps_blocks_back_does_not_count(serve: Serve, tmp_path: Path) -> None:
    silent = Chain(height=45, lies={"c": {"blockchain": {"block_metas": []}}})
    peers = serve(silent, "b", "c")
    with pytest.raises(RecoveryRefused, match="c: it keeps back 30 of the blocks"):
        ask(peers, tmp_path / "blocks.json")
    answer = ask(peers | serve(Chain(height=45), "d"), tmp_path / "blocks.json")
    assert answer["peers"] == {"d": 30}
    assert "keeps back" in answer["silent"]["c"]


def test_source_alone_vouches_for_no_index(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(RecoveryRefused, match="no peer but b has a block of the index"):
        ask(serve(Chain(height=45), "b"), tmp_path / "blocks.json")


@pytest.mark.parametrize(
    "text", [None, "", "{}", '{"blocks": []}', '{"blocks": [[1, ["x", 0, ""]]]}']
)
def test_blocks_that_can_not_be_read_are_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "blocks.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RecoveryRefused, match=r"blocks\.json"):
        read_blocks(path)
