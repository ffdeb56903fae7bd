"""A state is fetched only where different nodes vouch for one block, and none contradicts."""

from collections.abc import Callable
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.recovery import trust
from workflow_backend.operations.recovery.actions import act

from .chain import CHAIN, Chain

type Ways = dict[str, dict[str, str]]
type Serve = Callable[..., Ways]

SNAPSHOT = {"height": 8, "app_hash": f"{8:064x}"}
OFFERS = {"b": [SNAPSHOT, {"height": 5, "app_hash": f"{5:064x}"}], "c": []}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "POLL_SECONDS", 0.01)


def ask(peers: Ways, *, check: bool = False, **more: Any) -> dict[str, Any]:
    request = {"chain_id": CHAIN, "peers": peers, "offers": OFFERS, "seconds": 2} | more
    return act("trust", request, check=check)


def test_the_newest_snapshot_on_offer_is_vouched_for(serve: Serve) -> None:
    chain = Chain(height=9)
    answer = ask(serve(chain))
    assert (answer["height"], answer["hash"]) == (8, f"{8:064X}")
    assert (answer["app_hash"], answer["offered_by"]) == (f"{8:064x}", ["b"])
    assert answer["servers"] == ["b", "c", "d"]
    assert chain.height >= 8 + trust.BEYOND  # it was idle, and had to go on a little


def test_one_node_at_two_addresses_vouches_once(serve: Serve) -> None:
    chain = Chain()
    twice = serve(chain, "b") | {"c": serve(chain, "b")["b"]}
    with pytest.raises(RecoveryRefused, match="c is the same node as b"):
        ask(twice)


def test_one_node_is_not_enough(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match="1 nodes with node ids of their own"):
        ask(serve(Chain(), "b") | {"c": {"url": "http://127.0.0.1:1"}})
    with pytest.raises(Exception, match="greater than or equal to 2"):
        ask(serve(Chain(), "b"), agree=1)


def test_nodes_that_do_not_agree_are_not_trusted(serve: Serve) -> None:
    honest = serve(Chain(height=20), "b", "d")
    other = serve(Chain(height=20, hashes={8: "EE" * 32}), "c")
    with pytest.raises(RecoveryRefused, match="the peers do not agree on block 8: b: block"):
        ask(honest | other)


def test_a_plan_tells_too_that_nodes_do_not_agree(serve: Serve) -> None:
    honest = serve(Chain(height=20), "b", "d")
    other = serve(Chain(height=20, hashes={19: "EE" * 32}), "c")
    with pytest.raises(RecoveryRefused, match="the peers do not agree on block 19: b: block"):
        ask(honest | other, offers={}, check=True)


def test_a_snapshot_of_another_state_is_not_fetched(serve: Serve) -> None:
    offers = {"b": [{"height": 8, "app_hash": "ee" * 32}]}
    with pytest.raises(RecoveryRefused, match="the snapshot on offer at b eeee"):
        ask(serve(Chain(height=20)), offers=offers)


def test_a_chain_that_stands_still_is_told(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match=r"at height 10, and has to come to 11 .*\(no funds"):
        ask(serve(Chain(refuses="no funds")), seconds=0.1)


def test_without_an_offer_there_is_nothing_yet(serve: Serve) -> None:
    answer = ask(serve(Chain()), offers={}, check=True)
    assert (answer["height"], answer["servers"]) == (None, ["b", "c", "d"])
    with pytest.raises(RecoveryRefused, match="no peer has a state on offer"):
        ask(serve(Chain()), offers={})
    with pytest.raises(RecoveryRefused, match="they have those from 9 on"):
        ask(serve(Chain(base=9, height=20)))


def test_a_rehearsal_waits_for_nothing(serve: Serve) -> None:
    chain = Chain()
    assert ask(serve(chain), check=True)["hash"] is None
    assert chain.nudges == 0


@pytest.mark.parametrize(
    ("height", "block", "kept"),
    [(9, 9, True), (8, 8, True), (7, 7, False), (9, 1, False), (90, 90, False)],
)
def test_an_index_is_kept_where_it_reaches_the_state(
    serve: Serve, height: int, block: int, kept: bool
) -> None:
    index = {"height": height, "block_hash": f"{block:064x}", "schema_version": 1}
    assert ask(serve(Chain(height=20)), index=index)["keep_index"] is kept
