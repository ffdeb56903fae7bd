"""A host may be taken down where the rest still makes blocks, or where there is no other way."""

import dataclasses
import hashlib

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.upgrades import quorum
from workflow_backend.operations.upgrades.nodes import Seen, Way

from .made import NAMES, node, nodes


def test_three_of_four_are_enough() -> None:
    found = quorum.require("a", nodes(*NAMES))
    assert (found.total, found.left, found.own) == (40, 30, 10)
    assert found.sentence() == "without a 30 of 40 voting power is up: the chain goes on"


def test_two_of_four_are_not() -> None:
    with pytest.raises(RecoveryRefused, match=r"20 of 40 .* stands still.*not up: b") as refused:
        quorum.require("a", nodes(*NAMES, down=["b"]))
    assert "start.yml" in refused.value.hint


def test_two_thirds_exactly_are_not_enough() -> None:
    with pytest.raises(RecoveryRefused, match="20 of 30 voting power") as refused:
        quorum.require("a", nodes("a", "b", "c"))
    assert "upgrade_together=true" in refused.value.hint


def test_one_that_is_down_already_takes_nothing_away() -> None:
    assert quorum.require("b", nodes(*NAMES, down=["a", "b"])).left == 20


def test_one_that_catches_up_does_not_count() -> None:
    seen = nodes(*NAMES)
    seen["b"] = dataclasses.replace(seen["b"], catching_up=True)
    with pytest.raises(RecoveryRefused, match="not up: b"):
        quorum.require("a", seen)


def test_one_that_is_mended_by_then_counts() -> None:
    assert quorum.require("a", nodes(*NAMES, down=["b"]), frozenset("b")).left == 30


def test_one_that_just_stopped_does_not_count_though_it_signed_the_newest_block() -> None:
    seen = nodes(*NAMES, down=["b"])
    assert "B" in seen["a"].signed
    assert quorum.without(["a"], seen).left == 20


def test_a_validator_of_others_is_up_where_it_signed() -> None:
    assert quorum.without(["a"], nodes("a", "b", foreign=2)).left == 30
    powers = {"A": 10, "F0": 30}
    assert quorum.without(["a"], {"a": node("a", powers, ["A"])}).left == 0


def test_the_only_validator_has_no_other_way() -> None:
    found = quorum.require("a", nodes("a"))
    assert "the chain stands still meanwhile" in found.sentence()


def test_a_node_that_is_no_validator() -> None:
    seen = nodes("a", "b") | {"z": node("z", {"A": 10, "B": 10}, ["A", "B"])}
    assert quorum.require("z", seen).own == 0


def test_power_counts_and_not_heads() -> None:
    powers = {"A": 70, "B": 10, "C": 10, "D": 10}
    seen = {name: node(name, powers, powers) for name in NAMES}
    assert quorum.require("b", seen).left == 90
    with pytest.raises(RecoveryRefused, match="30 of 100"):
        quorum.require("a", seen)


def test_without_any_answer_nobody_knows() -> None:
    with pytest.raises(RecoveryRefused, match="nobody knows who is a validator"):
        quorum.require("a", {"a": Seen("a", problem="no login")})


def test_an_address_is_that_of_the_key() -> None:
    key = "ab" * 32
    address = hashlib.sha256(bytes.fromhex(key)).hexdigest()[:40].upper()
    assert Way(url="http://127.0.0.1:1", public_key=key).address == address
    assert Way.model_validate({"url": "http://127.0.0.1:1"}).address == ""


ALONE = {"D": 10**9}


def test_validators_are_those_that_most_nodes_name() -> None:
    seen = nodes(*NAMES)
    seen["d"] = dataclasses.replace(seen["d"], powers=ALONE, height=10**11)
    found = quorum.require("a", seen)
    assert (found.total, found.left, found.own) == (40, 30, 10)
    assert "d names other validators" in found.sentence()
    seen["b"] = dataclasses.replace(seen["b"], powers={}, catching_up=True)
    with pytest.raises(RecoveryRefused, match="20 of 40"):
        quorum.require("a", seen)


def test_one_against_one_is_named() -> None:
    seen = nodes("a", "b")
    seen["b"] = dataclasses.replace(seen["b"], powers=ALONE, height=10**11)
    with pytest.raises(RecoveryRefused, match="do not agree on who is a validator") as refused:
        quorum.require("a", seen)
    assert "a: 2 validators with a power of 20; b: 1 validators" in str(refused.value)


def test_a_validator_of_others_is_up_where_most_saw_it_sign() -> None:
    seen = nodes("a", "b", "c", foreign=2)
    for name in "ab":
        seen[name] = dataclasses.replace(seen[name], signed=frozenset("ABC"))
    assert quorum.without(["a"], seen).left == 20
