"""The double-sign guard lets a validator sign here only where it surely signs nowhere else."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.network import peers as network_peers
from workflow_backend.operations.network.heights import MAX_SPREAD
from workflow_backend.operations.recovery import double_sign_guard

from .fake_chain import KEYS, Chain
from .guard_requests import DOWN, FAR_AHEAD, Ways, ask, hiding

type Serve = Callable[..., Ways]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(double_sign_guard, "IDLE_SECONDS", 0.02)
    monkeypatch.setattr(double_sign_guard, "POLL_SECONDS", 0.01)


def without_a(**more: Any) -> Chain:
    chain = Chain(**more)
    chain.signers.discard("a")
    return chain


def test_guard_allows_signing_after_blocks_without_its_signature(serve: Serve) -> None:
    chain = without_a()  # its last signature is for block 10
    answer = ask(serve(chain))
    assert (answer["first"], answer["last"]) == (12, 14)
    assert answer["seen"] == {"height": "15", "round": 0, "step": 3}
    assert answer["check_blocks"] == 3
    assert chain.nudges == 5


def test_rehearsal_waits_for_nothing(serve: Serve) -> None:
    chain = Chain()
    answer = ask(serve(chain), check=True)
    assert answer["check_blocks"] == 0
    assert answer["chain"] == "without a 30 of 40 voting power is up: the chain goes on"
    assert chain.nudges == 0
    with pytest.raises(RecoveryRefused, match="no peer answers"):
        ask(DOWN, check=True)


@pytest.mark.parametrize(
    ("powers", "behind", "message"),
    [
        (dict.fromkeys("abc", 10), set(), "20 of 30 voting power is up: the chain stands still"),
        (dict.fromkeys("abcd", 10), {"d"}, "20 of 40 voting power is up.*; not up: d"),
        ({"a": 10}, set(), "no other validator than a: the chain stands still meanwhile"),
    ],
)
def test_rehearsal_refuses_to_stop_a_node_that_the_blocks_need(
    serve: Serve, powers: dict[str, int], behind: set[str], message: str
) -> None:
    peers = serve(Chain(powers=powers, behind=behind))
    with pytest.raises(RecoveryRefused, match=message) as refused:
        ask(peers, check=True)
    assert "start.yml --limit a" not in refused.value.explain()  # it was not stopped
    assert "stands still" in ask(peers, check=True, sure=True)["chain"]


def test_guard_sends_no_transactions_where_blocks_come_by_themselves(serve: Serve) -> None:
    chain = without_a(on_demand=False)
    assert ask(serve(chain))["last"] >= 14
    assert chain.nudges == 0


def test_guard_refuses_a_signature_made_after_the_stop(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match="signed block 14, made after its node was stopped"):
        ask(serve(Chain()))


def test_guard_refuses_a_single_signature(serve: Serve) -> None:
    chain = without_a()

    def grow(blocks: int = 1) -> None:
        Chain.grow(chain, blocks)
        if chain.height == 13:
            chain.signed[13].add("a")

    chain.grow = grow  # type: ignore[method-assign]
    with pytest.raises(RecoveryRefused, match="signed block 13"):
        ask(serve(chain))


def test_guard_skips_the_block_under_way_at_the_stop(serve: Serve) -> None:
    chain = without_a()
    chain.signed[11] = {"a"}

    def grow(blocks: int = 1) -> None:
        Chain.grow(chain, blocks)
        if chain.height == 11:
            chain.signed[11].add("a")

    chain.grow = grow  # type: ignore[method-assign]
    assert ask(serve(chain))["first"] == 12


def test_guard_refuses_a_peer_with_its_key(serve: Serve) -> None:
    chain = without_a()
    peers = serve(chain, "b") | {"c": serve(chain, "a")["a"]}
    with pytest.raises(RecoveryRefused, match="node of c runs with the validator's key of a"):
        ask(peers)


def test_guard_refuses_two_hosts_with_one_key() -> None:
    with pytest.raises(RecoveryRefused, match="a and d have one validator's key"):
        ask({}, keys=KEYS | {"d": KEYS["a"]})


def test_guard_refuses_a_host_without_a_key() -> None:
    with pytest.raises(RecoveryRefused, match="no key for z"):
        ask({}, host="z")


def test_guard_needs_the_operators_word_without_new_blocks(serve: Serve) -> None:
    peers = serve(without_a(refuses="no funds"))
    with pytest.raises(
        RecoveryRefused, match=r"made 0 blocks in 1 s, it takes 3 \(no funds"
    ) as refused:
        ask(peers, seconds=1)
    assert "start.yml --limit a starts the home that a still has" in refused.value.explain()
    answer = ask(peers, seconds=1, sure=True)
    assert (answer["check_blocks"], answer["seen"]["height"]) == (0, "10")


def test_guard_needs_the_operators_word_without_peers() -> None:
    with pytest.raises(RecoveryRefused, match="no peer answers that has a block") as refused:
        ask(DOWN)
    assert "-e xian_recovery_sure=true" in refused.value.explain()
    assert ask(DOWN, sure=True)["seen"] is None


def test_guard_allows_a_node_without_voting_power(serve: Serve) -> None:
    chain = without_a(powers={"b": 10})
    answer = ask(serve(chain))
    assert (answer["proven"], answer["check_blocks"]) == ("it has no voting power", 0)
    assert chain.nudges == 0


def test_guard_names_a_peer_of_another_chain(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match="chain 'other', not 'unit-1'"):
        ask(serve(Chain(chain_id="other")))


def test_guard_takes_at_least_three_blocks(serve: Serve) -> None:
    with pytest.raises(Exception, match="greater than or equal to 3"):
        ask(serve(Chain()), blocks=2)


def test_guard_is_not_opened_by_a_great_height_without_power(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match=r"signed block 1[45].*, as [bcd] shows"):
        ask(serve(Chain(lies={"b": FAR_AHEAD})))


def test_guard_ignores_a_height_that_one_peer_alone_says(serve: Serve) -> None:
    chain = without_a(lies={"b": FAR_AHEAD})
    answer = ask(serve(chain))
    assert int(answer["seen"]["height"]) == chain.height
    assert answer["outliers"] == f"b says height {10**11}"
    assert answer["shown_by"] == ["c", "d"]


class JustAhead(Chain):
    """Peer b always says as many blocks more as no outlier is known by."""

    def truth(self, host: str, method: str, params: dict[str, Any]) -> dict[str, Any]:
        answer = super().truth(host, method, params)
        if (host, method) == ("b", "status"):
            answer["sync_info"]["latest_block_height"] = str(self.height + MAX_SPREAD)
        return answer


def test_guard_waits_for_no_block_that_one_peer_alone_says(serve: Serve) -> None:
    chain = JustAhead(signers=set("bcd"))
    answer = ask(serve(chain), seconds=10)
    assert {"c", "d"} <= set(answer["shown_by"])
    assert answer["first"] == 10 + MAX_SPREAD + 2
    assert int(answer["seen"]["height"]) == chain.height


def test_guard_names_the_peer_that_is_alone_above_the_others(serve: Serve) -> None:
    chain = JustAhead(signers=set("bcd"), refuses="no funds")
    with pytest.raises(RecoveryRefused, match="b alone says height 30, the others 10 at most"):
        ask(serve(chain), seconds=0.5)


def test_guard_refuses_where_one_peer_saw_a_signature(serve: Serve) -> None:
    lies = {host: hiding(15) | {"status": {}} for host in "bc"}
    with pytest.raises(RecoveryRefused, match=r"signed block 1[45].*, as d shows"):
        ask(serve(Chain(lies=lies)))


def test_guard_waits_where_one_peer_saw_voting_power(serve: Serve) -> None:
    lies = {host: {"validators": {"validators": [], "total": "0"}} for host in "bc"}
    answer = ask(serve(without_a(lies=lies)))
    assert (answer["check_blocks"], answer["power"]) == (3, 10)


def test_guard_leaves_out_a_slow_peer(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_peers, "POLL_SECONDS", 0.2)
    over = threading.Event()

    class Slow(Chain):
        asked = 0

        def answer(self, host: str, method: str, params: dict[str, Any]) -> Any:
            if (host, method) == ("b", "status"):
                self.asked += 1
                if self.asked > 1:
                    over.wait(30)
            return super().answer(host, method, params)

    chain = Slow(signers=set("bcd"))
    try:
        assert ask(serve(chain), seconds=10)["shown_by"] == ["c", "d"]
    finally:
        over.set()
    assert chain.asked == 2


def test_guard_believes_no_height_of_a_single_peer(serve: Serve) -> None:
    peers = serve(without_a(), "b") | {"c": DOWN["b"]}
    with pytest.raises(RecoveryRefused, match=r"no two peers agree .*: b says height 10"):
        ask(peers)
    assert ask(peers, sure=True)["seen"] is None
    two = serve(without_a(lies={"b": FAR_AHEAD}), "b", "c")
    with pytest.raises(RecoveryRefused, match=f"c says height 10; b says height {10**11}"):
        ask(two)


@pytest.mark.parametrize("power", [0, 10])
def test_guard_believes_no_missing_power_of_a_single_peer(serve: Serve, power: int) -> None:
    """A host without power in the genesis may have got votes on the chain since."""
    peers = serve(without_a(powers={"b": 10}), "b") | {"c": DOWN["b"]}
    with pytest.raises(RecoveryRefused, match="no two peers agree"):
        ask(peers, power=power)
    unnamed = serve(without_a(powers={"b": 10}), "b")
    with pytest.raises(RecoveryRefused, match="no two peers agree"):
        ask(unnamed, power=power)  # the network has others, which the inventory lacks


def test_guard_believes_no_missing_power_of_a_peer_that_catches_up(serve: Serve) -> None:
    peers = serve(without_a(powers={"b": 10}, behind={"c"}), "b", "c")
    with pytest.raises(RecoveryRefused, match="no two peers agree"):
        ask(peers, power=0)


def test_guard_says_that_the_only_other_host_was_believed(serve: Serve) -> None:
    peers = serve(without_a(powers={"b": 10}), "b")
    two = {host: KEYS[host] for host in "ab"}
    follower = ask(peers, power=0, keys=two)
    assert (follower["proven"], follower["seen"], follower["height"]) == (
        "it has no voting power, as b alone says",
        None,
        10,
    )
    with pytest.raises(RecoveryRefused, match="no two peers agree"):
        ask(peers, power=10, keys=two)


@pytest.mark.parametrize(
    "odd",
    [
        {"status": {"sync_info": {"latest_block_height": str(10**18)}}},
        {"status": {"validator_info": None}},
        {"status": {"node_info": {"network": "other"}}},
        {"validators": {"validators": [{}] * 100}},
        {"validators": {"total": "1000000000"}},
        {"commit": {"signed_header": []}},
        {"broadcast_tx_sync": []},
    ],
)
def test_guard_leaves_out_a_peer_with_impossible_answers(serve: Serve, odd: Any) -> None:
    assert ask(serve(without_a(lies={"b": odd})))["check_blocks"] == 3


def test_guard_reports_each_step(serve: Serve, tmp_path: Path) -> None:
    report = tmp_path / "reports" / "one.json"
    ask(serve(without_a()), report=str(report))
    with pytest.raises(RecoveryRefused):
        ask(DOWN, report=str(report))
    one, other = json.loads(report.read_text())["steps"]
    assert one["proven"] == "it signed none of the blocks 12 to 14"
    assert other["refused"].startswith("nobody can tell")
