"""A host may be taken down where the rest still makes blocks, or where there is no other way."""

import dataclasses

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.network import quorum
from workflow_backend.operations.network.node_status import NodeStatus

from .statuses import NAMES, node, nodes


def test_quorum_is_three_of_four() -> None:
    power = quorum.require_quorum_without("a", nodes(*NAMES))
    assert (power.total, power.remaining, power.own) == (40, 30, 10)
    assert power.sentence() == "without a 30 of 40 voting power is up: the chain goes on"


def test_quorum_is_not_two_of_four() -> None:
    with pytest.raises(RecoveryRefused, match=r"20 of 40 .* stands still.*not up: b") as refused:
        quorum.require_quorum_without("a", nodes(*NAMES, down=["b"]))
    assert "start.yml" in refused.value.hint


def test_quorum_is_more_than_two_thirds() -> None:
    with pytest.raises(RecoveryRefused, match="20 of 30 voting power") as refused:
        quorum.require_quorum_without("a", nodes("a", "b", "c"))
    assert "upgrade_together=true" in refused.value.hint


def test_host_that_is_down_takes_nothing_away() -> None:
    assert quorum.require_quorum_without("b", nodes(*NAMES, down=["a", "b"])).remaining == 20


def test_node_that_catches_up_does_not_count() -> None:
    seen = nodes(*NAMES)
    seen["b"] = dataclasses.replace(seen["b"], catching_up=True)
    with pytest.raises(RecoveryRefused, match="not up: b"):
        quorum.require_quorum_without("a", seen)


def test_mended_host_counts_as_up() -> None:
    assert (
        quorum.require_quorum_without("a", nodes(*NAMES, down=["b"]), frozenset("b")).remaining
        == 30
    )


def test_stopped_host_does_not_count_though_it_signed_the_newest_block() -> None:
    seen = nodes(*NAMES, down=["b"])
    assert "B" in seen["a"].signers
    assert quorum.remaining_power(["a"], seen).remaining == 20


def test_foreign_validator_is_up_where_it_signed() -> None:
    assert quorum.remaining_power(["a"], nodes("a", "b", foreign=2)).remaining == 30
    powers = {"A": 10, "F0": 30}
    assert quorum.remaining_power(["a"], {"a": node("a", powers, ["A"])}).remaining == 0


def test_single_validator_may_always_stop() -> None:
    power = quorum.require_quorum_without("a", nodes("a"))
    assert "the chain stands still meanwhile" in power.sentence()


def test_node_without_power_takes_nothing_away() -> None:
    seen = nodes("a", "b") | {"z": node("z", {"A": 10, "B": 10}, ["A", "B"])}
    assert quorum.require_quorum_without("z", seen).own == 0


def test_quorum_counts_power_and_not_heads() -> None:
    powers = {"A": 70, "B": 10, "C": 10, "D": 10}
    seen = {name: node(name, powers, powers) for name in NAMES}
    assert quorum.require_quorum_without("b", seen).remaining == 90
    with pytest.raises(RecoveryRefused, match="30 of 100"):
        quorum.require_quorum_without("a", seen)


def test_quorum_is_unknown_without_any_answer() -> None:
    with pytest.raises(RecoveryRefused, match="nobody knows who is a validator"):
        quorum.require_quorum_without("a", {"a": NodeStatus("a", problem="no login")})


ONLY_D = {"D": 10**9}


def test_validators_are_those_that_most_nodes_name() -> None:
    seen = nodes(*NAMES)
    seen["d"] = dataclasses.replace(seen["d"], powers=ONLY_D, height=10**11)
    power = quorum.require_quorum_without("a", seen)
    assert (power.total, power.remaining, power.own) == (40, 30, 10)
    assert "d names other validators" in power.sentence()
    seen["b"] = dataclasses.replace(seen["b"], powers={}, catching_up=True)
    with pytest.raises(RecoveryRefused, match="20 of 40"):
        quorum.require_quorum_without("a", seen)


@pytest.mark.parametrize("liar", ["b", "c", "d"])
def test_liars_place_among_the_nodes_does_not_matter(liar: str) -> None:
    honest = nodes(*NAMES)
    lie = dataclasses.replace(honest[liar], powers=ONLY_D, height=10**11)
    seen = {liar: lie} | {name: status for name, status in honest.items() if name != liar}
    power = quorum.require_quorum_without("a", seen)
    assert (power.total, power.dissenting) == (40, (liar,))


def test_quorum_names_one_against_one() -> None:
    seen = nodes("a", "b")
    seen["b"] = dataclasses.replace(seen["b"], powers=ONLY_D, height=10**11)
    with pytest.raises(RecoveryRefused, match="do not agree on who is a validator") as refused:
        quorum.require_quorum_without("a", seen)
    assert "a: 2 validators with a power of 20; b: 1 validators" in str(refused.value)


def test_foreign_validator_is_up_where_most_saw_it_sign() -> None:
    seen = nodes("a", "b", "c", foreign=2)
    for name in "ab":
        seen[name] = dataclasses.replace(seen[name], signers=frozenset("ABC"))
    assert quorum.remaining_power(["a"], seen).remaining == 20
    slow = frozenset({"A", "B", "C", "F0"})
    seen = {name: dataclasses.replace(each, earlier_signers=slow) for name, each in seen.items()}
    assert quorum.remaining_power(["a"], seen).remaining == 30
