"""Nodes that were stopped together are proved to be at one height."""

from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.upgrades.stopped_nodes import StoppedNode, assert_same_height

from ..network.statuses import NAMES

POWERS = dict.fromkeys(NAMES, 10)


def stopped(height: int = 8, app_hash: str = "H8", signed: int = 8) -> StoppedNode:
    return StoppedNode(height=height, app_hash=app_hash, signed=signed)


ALL = dict.fromkeys(NAMES, stopped())

DIFFERENT: dict[str, tuple[StoppedNode, str]] = {
    "another height": (stopped(height=7), "at different heights"),
    "another app hash": (stopped(app_hash="X"), "with different app hashes"),
    "a vote for the next block": (stopped(signed=9), "on their way to the next block"),
}


def test_stopped_nodes_are_at_one_height() -> None:
    assert assert_same_height(ALL, 8) == {"height": 8, "left_out": {}}
    assert assert_same_height({}) == {"height": 0, "left_out": {}}


@pytest.mark.parametrize(("node", "reason"), DIFFERENT.values(), ids=list(DIFFERENT))
def test_stopped_nodes_are_refused_where_one_differs(node: StoppedNode, reason: str) -> None:
    with pytest.raises(RecoveryRefused, match=reason):
        assert_same_height(ALL | {"d": node})


def test_stopped_nodes_are_refused_after_another_height() -> None:
    with pytest.raises(RecoveryRefused, match="not at height 7 any more"):
        assert_same_height(ALL, 7, POWERS, 40)


@pytest.mark.parametrize(("node", "reason"), DIFFERENT.values(), ids=list(DIFFERENT))
def test_stopped_node_that_differs_is_left_out_where_the_others_have_the_power(
    node: StoppedNode, reason: str
) -> None:
    answer = assert_same_height(ALL | {"d": node}, 8, POWERS, 40)
    assert (answer["height"], list(answer["left_out"])) == (8, ["d"])
    powers: dict[str, Any] = POWERS | {"d": 15}
    with pytest.raises(RecoveryRefused, match=reason):
        assert_same_height(ALL | {"d": node}, None, powers, 45)
