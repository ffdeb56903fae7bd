"""The double-sign gate lets a validator sign here only where it surely signs nowhere else."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations import answers
from workflow_backend.operations.recovery import gate
from workflow_backend.operations.recovery.actions import act

from .chain import CHAIN, KEYS, Chain

type Ways = dict[str, dict[str, str]]
type Serve = Callable[..., Ways]

DOWN = {"b": {"url": "http://127.0.0.1:1"}}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "STILL_SECONDS", 0.02)
    monkeypatch.setattr(gate, "POLL_SECONDS", 0.01)


def ask(peers: Ways, action: str = "gate", *, check: bool = False, **more: Any) -> dict[str, Any]:
    request = {"chain_id": CHAIN, "host": "a", "keys": KEYS, "peers": peers}
    return act(action, request | more, check=check)


def without_a(**more: Any) -> Chain:
    chain = Chain(**more)
    chain.signers.discard("a")
    return chain


def test_blocks_without_its_signature_let_it_sign_behind_them(serve: Serve) -> None:
    chain = without_a()  # its last signature is for block 10
    answer = ask(serve(chain))
    assert (answer["first"], answer["last"]) == (12, 14)
    assert answer["seen"] == {"height": "15", "round": 0, "step": 3}
    assert answer["check_blocks"] == 3
    assert chain.nudges == 5


def test_while_its_node_runs_nothing_is_waited_for(serve: Serve) -> None:
    chain = Chain()
    answer = ask(serve(chain), check=True)
    assert answer["check_blocks"] == 0
    assert answer["chain"] == "without a 30 of 40 voting power is up: the chain goes on"
    assert chain.nudges == 0
    with pytest.raises(RecoveryRefused, match="no peer answers"):
        ask(DOWN, check=True)


@pytest.mark.parametrize(
    ("powers", "behind", "told"),
    [
        (dict.fromkeys("abc", 10), set(), "20 of 30 voting power is up: the chain stands still"),
        (dict.fromkeys("abcd", 10), {"d"}, "20 of 40 voting power is up.*; not up: d"),
        ({"a": 10}, set(), "no other validator than a: the chain stands still meanwhile"),
    ],
)
def test_no_node_is_stopped_whose_power_the_blocks_take_that_would_tell(
    serve: Serve, powers: dict[str, int], behind: set[str], told: str
) -> None:
    peers = serve(Chain(powers=powers, behind=behind))
    with pytest.raises(RecoveryRefused, match=told) as refused:
        ask(peers, check=True)
    assert "start.yml --limit a" not in refused.value.explain()  # it was not stopped
    assert "stands still" in ask(peers, check=True, sure=True)["chain"]


def test_a_chain_that_makes_blocks_by_itself_needs_no_transactions(serve: Serve) -> None:
    chain = without_a(on_demand=False)
    assert ask(serve(chain))["last"] >= 14
    assert chain.nudges == 0


def test_a_signature_made_after_the_stop_is_another_node(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match="signed block 14, made after its node was stopped"):
        ask(serve(Chain()))


def test_one_signature_is_enough(serve: Serve) -> None:
    chain = without_a()

    def grow(blocks: int = 1) -> None:
        Chain.grow(chain, blocks)
        if chain.height == 13:
            chain.signed[13].add("a")

    chain.grow = grow  # type: ignore[method-assign]
    with pytest.raises(RecoveryRefused, match="signed block 13"):
        ask(serve(chain))


def test_the_block_under_way_at_the_stop_may_have_it(serve: Serve) -> None:
    chain = without_a()
    chain.signed[11] = {"a"}

    def grow(blocks: int = 1) -> None:
        Chain.grow(chain, blocks)
        if chain.height == 11:
            chain.signed[11].add("a")

    chain.grow = grow  # type: ignore[method-assign]
    assert ask(serve(chain))["first"] == 12


def test_a_peer_that_runs_with_its_key_is_refused(serve: Serve) -> None:
    chain = without_a()
    peers = serve(chain, "b") | {"c": serve(chain, "a")["a"]}
    with pytest.raises(RecoveryRefused, match="node of c runs with the validator's key of a"):
        ask(peers)


def test_two_hosts_with_one_key_are_refused() -> None:
    with pytest.raises(RecoveryRefused, match="a and d have one validator's key"):
        ask({}, keys=KEYS | {"d": KEYS["a"]})


def test_a_host_without_a_key_is_refused() -> None:
    with pytest.raises(RecoveryRefused, match="no key for z"):
        ask({}, host="z")


def test_without_new_blocks_only_the_operators_word_helps(serve: Serve) -> None:
    peers = serve(without_a(refuses="no funds"))
    with pytest.raises(
        RecoveryRefused, match=r"made 0 blocks in 0\.1 s, 3 are wanted \(no funds"
    ) as refused:
        ask(peers, seconds=0.1)
    assert "start.yml --limit a starts the home that a still has" in refused.value.explain()
    answer = ask(peers, seconds=0.1, sure=True)
    assert (answer["check_blocks"], answer["seen"]["height"]) == (0, "10")


def test_without_peers_only_the_operators_word_helps() -> None:
    with pytest.raises(RecoveryRefused, match="no peer answers that has a block") as refused:
        ask(DOWN)
    assert "-e xian_recovery_sure=true" in refused.value.explain()
    assert ask(DOWN, sure=True)["seen"] is None


def test_a_node_without_a_vote_signs_nothing(serve: Serve) -> None:
    chain = without_a(powers={"b": 10})
    answer = ask(serve(chain))
    assert (answer["proven"], answer["check_blocks"]) == ("it has no vote", 0)
    assert chain.nudges == 0


def test_a_peer_of_another_chain_is_refused(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match="chain 'other', not 'unit-1'"):
        ask(serve(Chain(chain_id="other")))


def test_fewer_than_three_blocks_are_no_proof(serve: Serve) -> None:
    with pytest.raises(Exception, match="greater than or equal to 3"):
        ask(serve(Chain()), blocks=2)


# --- peers that lie


HUGE = {
    "status": {"sync_info": {"latest_block_height": str(10**11)}},
    "validators": {"validators": [], "total": "0"},
}


def hidden(height: int) -> dict[str, Any]:
    """What a peer says that knows of no signature, and of no vote."""
    return {
        "validators": {"validators": [], "total": "0"},
        "commit": {"signed_header": {"commit": {"signatures": []}}},
        "status": {"sync_info": {"latest_block_height": str(height)}},
    }


def test_gate_is_not_opened_by_the_greatest_height_without_a_vote(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match=r"signed block 1[45].*, [bcd] shows"):
        ask(serve(Chain(lies={"b": HUGE})))


def test_gate_writes_no_height_that_one_alone_says(serve: Serve) -> None:
    chain = without_a(lies={"b": HUGE})
    answer = ask(serve(chain))
    assert int(answer["seen"]["height"]) == chain.height
    assert answer["odd"] == f"b says height {10**11}"
    assert answer["shown_by"] == ["c", "d"]


def test_gate_refuses_where_one_saw_a_signature(serve: Serve) -> None:
    lies = {host: hidden(15) | {"status": {}} for host in "bc"}
    with pytest.raises(RecoveryRefused, match=r"signed block 1[45].*, d shows"):
        ask(serve(Chain(lies=lies)))


def test_gate_waits_where_one_saw_a_vote(serve: Serve) -> None:
    lies = {host: {"validators": {"validators": [], "total": "0"}} for host in "bc"}
    answer = ask(serve(without_a(lies=lies)))
    assert (answer["check_blocks"], answer["power"]) == (3, 10)


def test_gate_does_without_one_that_takes_its_time(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "POLL_SECONDS", 0.2)
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


def test_gate_believes_one_alone_no_height(serve: Serve) -> None:
    peers = serve(without_a(), "b") | DOWN_C
    with pytest.raises(RecoveryRefused, match=r"no two peers agree .*: b says height 10"):
        ask(peers)
    assert ask(peers, sure=True)["seen"] is None
    two = serve(without_a(lies={"b": HUGE}), "b", "c")
    with pytest.raises(RecoveryRefused, match=f"c says height 10; b says height {10**11}"):
        ask(two)


def test_gate_believes_one_alone_no_missing_vote(serve: Serve) -> None:
    peers = serve(without_a(powers={"b": 10}), "b") | DOWN_C
    with pytest.raises(RecoveryRefused, match="no two peers agree"):
        ask(peers)
    follower = ask(peers, power=0)  # the genesis gives it none either
    assert (follower["proven"], follower["seen"], follower["height"]) == (
        "it has no vote",
        None,
        10,
    )


DOWN_C = {"c": {"url": "http://127.0.0.1:1"}}


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
def test_gate_does_without_one_that_says_what_can_not_be(serve: Serve, odd: Any) -> None:
    assert ask(serve(without_a(lies={"b": odd})))["check_blocks"] == 3


# --- a home that is made anew


def test_a_first_deployment_makes_homes(serve: Serve) -> None:
    assert ask(DOWN, "new-home")["seen"] is None
    assert ask(serve(Chain(height=0)), "new-home")["seen"] is None


def test_a_lost_home_of_a_validator_is_not_made_anew(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match="has no home, and its chain has 10 blocks") as said:
        ask(serve(Chain()), "new-home")
    assert "push-home.yml" in said.value.explain()
    assert "bootstrap-state-sync.yml" in said.value.explain()


def test_a_deployment_that_was_cut_short_goes_on(serve: Serve) -> None:
    answer = ask(serve(Chain(signers={"b", "c", "d"})), "new-home")
    assert answer["proven"] == "it signed none of the 10 blocks that there are"
    assert answer["seen"]["height"] == "10"


def test_where_no_peer_is_left_the_control_machine_remembers() -> None:
    with pytest.raises(RecoveryRefused, match="has no home, and had one since 2026-01-01"):
        ask({}, "new-home", made="2026-01-01")
    assert ask({}, "new-home", made="2026-01-01", sure=True)["seen"] is None
    assert ask({}, "new-home")["seen"] is None


def test_what_can_not_be_looked_through_counts_as_signed(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match="took part in"):
        ask(serve(Chain(signers={"b"}, height=12, base=2)), "new-home")


def test_a_node_without_a_vote_has_its_home_made(serve: Serve) -> None:
    assert ask(serve(Chain(powers={"b": 10})), "new-home")["proven"] == "it has no vote"


def test_a_host_that_is_down_may_hold_the_chain() -> None:
    down = {"b": {"url": "http://127.0.0.1:1", "ssh": "false host-b"}}
    with pytest.raises(RecoveryRefused, match="nobody can tell whether its validator has signed"):
        ask(down, "new-home")
    assert ask(down, "new-home", sure=True)["seen"] is None


def test_each_step_is_in_the_report(serve: Serve, tmp_path: Path) -> None:
    report = tmp_path / "reports" / "one.json"
    ask(serve(without_a()), report=str(report))
    with pytest.raises(RecoveryRefused):
        ask(DOWN, report=str(report))
    one, other = json.loads(report.read_text())["steps"]
    assert one["proven"] == "it signed none of the blocks 12 to 14"
    assert other["refused"].startswith("nobody can tell")


def test_home_is_not_made_anew_by_the_word_of_one(serve: Serve) -> None:
    for lies in ({"b": HUGE}, {"b": hidden(10)}, {"b": hidden(10), "c": hidden(10)}):
        with pytest.raises(RecoveryRefused, match="has no home"):
            ask(serve(Chain(lies=lies)), "new-home")
    with pytest.raises(RecoveryRefused, match="has no home"):
        ask(serve(Chain(lies={"b": hidden(10)}), "b"), "new-home")
    answer = ask(serve(Chain(signers=set("bcd"), lies={"b": HUGE})), "new-home")
    assert answer["seen"]["height"] == "10"
    assert ask(serve(Chain(powers={"b": 10}), "b"), "new-home", power=0)["seen"] is None
