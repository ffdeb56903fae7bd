"""Running nodes come to one height before they stop, and a liar among them is left out."""

from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.network.node_status import NodeStatus
from workflow_backend.operations.upgrades.quiesce import quiesce

from ..network.statuses import NAMES, changed, node, nodes
from .conftest import Polls

SEVEN, EIGHT = nodes(*NAMES), nodes(*NAMES, height=8, app_hash="H8")


async def test_quiesce_waits_for_a_fresh_block_and_an_empty_mempool(polls: Polls) -> None:
    busy = changed(EIGHT, c={"waiting_transactions": 3})
    polls(SEVEN, busy, changed(EIGHT, b={"height": 7}), EIGHT)
    reached = await quiesce({}, "unit-1", 5, blocks=True)
    assert (reached["running"], reached["height"], reached["left_out"]) == (True, 8, {})
    assert (reached["powers"], reached["total"]) == (dict.fromkeys(NAMES, 10), 40)


async def test_quiesce_takes_the_newest_block_where_blocks_are_made_on_demand(
    polls: Polls,
) -> None:
    polls(SEVEN)
    assert (await quiesce({}, "unit-1", 5, blocks=False))["height"] == 7


async def test_quiesce_has_nothing_to_wait_for_where_no_node_runs(polls: Polls) -> None:
    polls(nodes(*NAMES, down=NAMES))
    assert await quiesce({}, "unit-1", 5, blocks=True) == {"running": False}


@pytest.mark.parametrize(
    ("statuses", "reason"),
    [
        (nodes(*NAMES, down=["c", "d"]), "not up: c, d"),
        (changed(SEVEN, c={"catching_up": True}, d={"catching_up": True}), "not up: c, d"),
        (changed(SEVEN, c={"height": 6}, d={"height": 6}), "heights: a 7, b 7, c 6, d 6"),
        (changed(SEVEN, a={"waiting_transactions": 3}, d={"height": 8}), "transactions wait: a 3"),
        (SEVEN, "no block was made after height 7"),
    ],
)
async def test_quiesce_refuses(polls: Polls, statuses: dict[str, NodeStatus], reason: str) -> None:
    polls(statuses)
    with pytest.raises(RecoveryRefused, match=reason):
        await quiesce({}, "unit-1", 0.02, blocks=True)


LIES = {
    "a height far above": ({"height": 10**11}, "it says height 100000000000, the others 8"),
    "an older height": ({"height": 3}, "it says height 3, the others 8"),
    "another app hash": ({"app_hash": "X"}, "it says app hash X, the others H8"),
    "silence": ({"problem": "no answer"}, "it does not take part: no answer"),
    "that it catches up for ever": ({"catching_up": True}, "it says that it catches up"),
    "transactions": ({"waiting_transactions": 9}, "it says that 9 transactions wait"),
}


@pytest.mark.parametrize(("lie", "reason"), LIES.values(), ids=list(LIES))
async def test_quiesce_names_and_leaves_out_a_single_liar(
    polls: Polls, lie: dict[str, Any], reason: str
) -> None:
    polls(changed(SEVEN, d=lie), changed(EIGHT, d=lie))
    reached = await quiesce({}, "unit-1", 0.2, blocks=True)
    assert reached["height"] == 8
    assert list(reached["left_out"]) == ["d"]
    assert reached["left_out"]["d"].startswith(reason)


async def test_quiesce_waits_for_a_node_that_catches_up_before_it_leaves_it_out(
    polls: Polls,
) -> None:
    late = changed(EIGHT, d={"catching_up": True, "height": 3})
    polls(late, late, late, EIGHT)
    assert (await quiesce({}, "unit-1", 5, blocks=False))["left_out"] == {}


async def test_quiesce_leaves_out_nobody_whose_power_the_chain_needs(polls: Polls) -> None:
    powers = {"A": 10, "B": 10, "C": 10, "D": 20}
    statuses = {name: node(name, powers, powers) for name in NAMES}
    polls(changed(statuses, d={"height": 3}))
    with pytest.raises(RecoveryRefused, match="at different heights: a 7, b 7, c 7, d 3"):
        await quiesce({}, "unit-1", 0.05, blocks=False)


async def test_quiesce_needs_no_block_above_what_one_node_alone_says(polls: Polls) -> None:
    ahead = {"height": 27, "app_hash": "X"}
    polls(changed(SEVEN, d=ahead), changed(EIGHT, d=ahead))
    reached = await quiesce({}, "unit-1", 0.2, blocks=True)
    assert (reached["height"], list(reached["left_out"])) == (8, ["d"])
