"""A state is fetched only where different nodes vouch for one block, and none contradicts."""

from collections.abc import Callable
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.network.report import run_action
from workflow_backend.operations.recovery import trusted_height
from workflow_backend.operations.recovery.actions import ACTIONS

from .fake_chain import CHAIN, Chain

type Ways = dict[str, dict[str, str]]
type Serve = Callable[..., Ways]

SNAPSHOT = {"height": 8, "app_hash": f"{8:064x}"}
NODE_IDS = {host: host * 40 for host in "bcde"}
OFFERS = {"b": [SNAPSHOT, {"height": 5, "app_hash": f"{5:064x}"}], "c": []}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trusted_height, "POLL_SECONDS", 0.01)


def ask(peers: Ways, *, check: bool = False, **more: Any) -> dict[str, Any]:
    request = {
        "chain_id": CHAIN,
        "peers": peers,
        "node_ids": NODE_IDS,
        "offers": OFFERS,
        "seconds": 2,
    }
    request |= more
    return run_action(ACTIONS, "trusted-height", request, check=check)


def test_trusted_height_is_of_the_newest_snapshot_on_offer(serve: Serve) -> None:
    chain = Chain(height=9)
    answer = ask(serve(chain))
    assert (answer["height"], answer["hash"]) == (8, f"{8:064X}")
    assert (answer["app_hash"], answer["offered_by"]) == (f"{8:064x}", ["b"])
    assert answer["servers"] == ["b", "c", "d"]
    assert chain.height >= 8 + trusted_height.BLOCKS_AFTER  # it was idle, and had to go on a little


def test_trusted_height_refuses_one_node_at_two_addresses(serve: Serve) -> None:
    chain = Chain()
    twice = serve(chain, "b") | {"c": serve(chain, "b")["b"]}
    with pytest.raises(RecoveryRefused, match="c says that it is the same node as b"):
        ask(twice)


def test_trusted_height_needs_two_nodes(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match="1 nodes with node ids of their own"):
        ask(serve(Chain(), "b") | {"c": {"url": "http://127.0.0.1:1"}})
    with pytest.raises(Exception, match="greater than or equal to 2"):
        ask(serve(Chain(), "b"), agree=1)


def test_trusted_height_refuses_nodes_that_disagree(serve: Serve) -> None:
    honest = serve(Chain(height=20), "b", "d")
    other = serve(Chain(height=20, hashes={8: "EE" * 32}), "c")
    with pytest.raises(RecoveryRefused, match="the peers do not agree on block 8: b: block"):
        ask(honest | other)


def test_rehearsal_names_nodes_that_disagree(serve: Serve) -> None:
    honest = serve(Chain(height=20), "b", "d")
    other = serve(Chain(height=20, hashes={19: "EE" * 32}), "c")
    with pytest.raises(RecoveryRefused, match="the peers do not agree on block 19: b: block"):
        ask(honest | other, offers={}, check=True)


def test_trusted_height_refuses_a_snapshot_of_another_state(serve: Serve) -> None:
    offers = {"b": [{"height": 8, "app_hash": "ee" * 32}]}
    with pytest.raises(RecoveryRefused, match="b: it offers a state of block 8 with the app"):
        ask(serve(Chain(height=20)), offers=offers)


def test_trusted_height_names_a_chain_that_stands_still(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match=r"at height 10, and has to come to 11 .*\(no funds"):
        ask(serve(Chain(refuses="no funds")), seconds=1)


def test_trusted_height_needs_an_offer(serve: Serve) -> None:
    answer = ask(serve(Chain()), offers={}, check=True)
    assert (answer["height"], answer["servers"]) == (None, ["b", "c", "d"])
    with pytest.raises(RecoveryRefused, match="no peer has a state on offer"):
        ask(serve(Chain()), offers={})
    with pytest.raises(RecoveryRefused, match="they have those from 9 on"):
        ask(serve(Chain(base=9, height=20)))


def test_rehearsal_waits_for_nothing(serve: Serve) -> None:
    chain = Chain()
    assert ask(serve(chain), check=True)["hash"] is None
    assert chain.nudges == 0


@pytest.mark.parametrize(
    ("height", "block", "kept"),
    [(9, 9, True), (8, 8, True), (7, 7, False), (9, 1, False), (90, 90, False)],
)
def test_index_is_kept_where_it_reaches_the_state(
    serve: Serve, height: int, block: int, kept: bool
) -> None:
    index = {"height": height, "block_hash": f"{block:064x}", "schema_version": 1}
    assert ask(serve(Chain(height=20)), index=index)["keep_index"] is kept


def liar(host: str, **answers: Any) -> Chain:
    """A chain of which a host tells what it likes."""
    return Chain(height=20, lies={host: answers})


def test_trusted_height_refuses_liars_with_ids_of_honest_nodes(serve: Serve) -> None:
    honest = serve(Chain(height=20), "d", "e")
    one = serve(liar("b", status={"node_info": {"id": "d" * 40}}, **FORGED), "b")
    other = serve(liar("c", status={"node_info": {"id": "e" * 40}}, **FORGED), "c")
    with pytest.raises(RecoveryRefused, match="d says that it is the same node as b") as refused:
        ask(one | other | honest)
    assert "network.json gives it to d" in refused.value.hint


FORGED: dict[str, Any] = {
    "commit": {"signed_header": {"commit": {"block_id": {"hash": "EE" * 32}}}},
    "header": {"header": {"app_hash": f"{8:064X}"}},
}


def test_trusted_height_counts_only_node_ids_of_network_json(serve: Serve) -> None:
    chain = liar("b", status={"node_info": {"id": "f" * 40}}, **FORGED)
    answer = ask(serve(chain, "b", "c", "d"))
    assert answer["servers"] == ["c", "d"]
    assert answer["silent"] == {"b": f"its node id is {'f' * 40}, network.json gives it {'b' * 40}"}
    with pytest.raises(RecoveryRefused, match="1 nodes with node ids of their own"):
        ask(serve(chain, "b", "c"))


def test_trusted_height_names_the_two_that_contradict(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match="do not agree on block") as refused:
        ask(serve(liar("d", **FORGED), "b", "c", "d"))
    assert "b and d contradict each other" in refused.value.hint


ODD: dict[str, dict[str, Any]] = {
    "a height that is huge": {"status": {"sync_info": {"latest_block_height": str(10**18)}}},
    "a height far above": {"status": {"sync_info": {"latest_block_height": "900"}}},
    "a height that is none": {"status": {"sync_info": {"latest_block_height": "-5"}}},
    "blocks that begin late": {"status": {"sync_info": {"earliest_block_height": "19"}}},
    "a list for an object": {"status": {"node_info": []}},
    "no hash": {"commit": {"signed_header": {"commit": {"block_id": {"hash": "\x1b[2J"}}}}},
    "a height that stays": {"status": {"sync_info": {"latest_block_height": "9"}}},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
def test_trusted_height_leaves_out_a_peer_with_impossible_answers(
    serve: Serve, odd: dict[str, Any]
) -> None:
    peers = serve(liar("b", **odd), "b", "c", "d")
    offers = {"c": [{"height": 18, "app_hash": f"{18:064x}"}]}
    answer = ask(peers, offers=offers, seconds=0.2)
    assert (answer["height"], answer["servers"]) == (18, ["c", "d"])
    assert answer["silent"]["b"].isprintable()


@pytest.mark.parametrize(
    "offer",
    [
        [{"height": 10**9, "app_hash": "ee" * 32}],
        [{"height": 19, "app_hash": "ee" * 32}],
        [{"height": 10**18, "app_hash": 5}],
        [{"height": 19, "app_hash": "ee" * 32}] * 1000,
        [[[]]],
        "x",
        {"height": 19},
    ],
)
def test_trusted_height_leaves_out_an_impossible_offer(serve: Serve, offer: Any) -> None:
    answer = ask(serve(Chain(height=30)), offers={"d": offer} | OFFERS)
    assert (answer["height"], answer["offered_by"]) == (8, ["b"])
    assert "offers" in answer["silent"]["d"]
