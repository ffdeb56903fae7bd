"""Nodes are healthy again when they have caught up and the chain goes on with them."""

from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.network.node_status import NodeStatus
from workflow_backend.operations.upgrades.wait_healthy import wait_healthy

from ..network.statuses import NAMES, changed, nodes
from .conftest import Polls

SEVEN, EIGHT = nodes(*NAMES), nodes(*NAMES, height=8, app_hash="H8")


async def wait(seconds: float = 0.05, *, blocks: bool = True) -> dict[str, Any]:
    return await wait_healthy({}, "unit-1", ["a"], seconds, blocks=blocks)


async def test_node_is_healthy_when_the_chain_goes_on_with_it(polls: Polls) -> None:
    polls(nodes(*NAMES, down=["a"]), changed(SEVEN, a={"catching_up": True}), SEVEN, EIGHT)
    assert (await wait(5))["nodes"]["a"]["height"] == 8


@pytest.mark.parametrize(
    ("statuses", "reason"),
    [
        (nodes(*NAMES, down=["a"]), "a: no connection"),
        (changed(EIGHT, a={"height": 3}), "a is at height 3 and has to catch up with 7"),
        (SEVEN, "no block was made after height 7"),
    ],
)
async def test_node_is_not_healthy(
    polls: Polls, statuses: dict[str, NodeStatus], reason: str
) -> None:
    polls(SEVEN, statuses)
    with pytest.raises(RecoveryRefused, match=reason):
        await wait()


async def test_validator_has_to_sign_again(polls: Polls) -> None:
    without = {name: {"signers": frozenset("BCD")} for name in NAMES}
    polls(SEVEN, changed(EIGHT, **without))
    with pytest.raises(RecoveryRefused, match="a signs no block"):
        await wait()
    polls(SEVEN, changed(EIGHT, **without), EIGHT)
    await wait()


async def test_slow_validator_signs_by_the_block_before(polls: Polls) -> None:
    """Its vote is never among the first, which are enough for a block."""
    slow: dict[str, Any] = {"signers": frozenset("BCD"), "earlier_signers": frozenset("ABCD")}
    every = dict.fromkeys(NAMES, slow)
    polls(SEVEN, changed(EIGHT, **every))
    with pytest.raises(RecoveryRefused, match="a signs no block"):
        await wait()  # what it signed is the block that was there before
    polls(SEVEN, changed(nodes(*NAMES, height=9, app_hash="H9"), **every))
    await wait()


async def test_single_node_is_believed_that_it_signs(polls: Polls) -> None:
    polls(nodes("a"), nodes("a", height=8))
    await wait()


async def test_idle_chain_is_healthy_where_blocks_are_made_on_demand(polls: Polls) -> None:
    polls(SEVEN)
    await wait(blocks=False)


async def test_another_app_hash_is_refused_at_once(polls: Polls) -> None:
    polls(changed(SEVEN, a={"app_hash": "X"}))
    with pytest.raises(RecoveryRefused, match="a has the app hash X and b H7"):
        await wait(5)


LIES = {
    "a height far above": {"height": 10**11, "app_hash": "X"},
    "a height above the others'": {"height": 27, "app_hash": "X"},
    "another app hash": {"app_hash": "X"},
    "no signature": {"signers": frozenset("BCD")},
    "a problem": {"problem": "it answers status as no node does"},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
async def test_single_liar_is_left_out(polls: Polls, lie: dict[str, Any]) -> None:
    polls(changed(SEVEN, d=lie), changed(EIGHT, d=lie))
    await wait(0.5)


async def test_signature_is_not_believed_of_a_single_node(polls: Polls) -> None:
    without = {name: {"signers": frozenset("BCD")} for name in "abc"}
    polls(SEVEN, changed(EIGHT, **without))
    with pytest.raises(RecoveryRefused, match="a signs no block"):
        await wait()


async def test_two_against_two_is_refused(polls: Polls) -> None:
    polls(changed(SEVEN, a={"app_hash": "X"}, b={"app_hash": "X"}))
    with pytest.raises(RecoveryRefused, match="a has the app hash X and c H7"):
        await wait(5)


async def test_node_is_not_healthy_by_a_block_that_one_node_alone_says(polls: Polls) -> None:
    polls(SEVEN, changed(SEVEN, d={"height": 27, "app_hash": "X", "signers": frozenset("A")}))
    with pytest.raises(RecoveryRefused, match="no block was made after height 7"):
        await wait()
