"""The index's check: wedged, slow, with holes, of another history; and one limit for all."""

from dataclasses import replace
from pathlib import Path

import pytest

from workflow_backend.chain.index_answers import IndexStatus
from workflow_backend.chain.node import LAG_LIMIT, Node
from workflow_backend.chain.rpc import Rpc
from workflow_backend.operations.desired_state import DesiredState
from workflow_backend.operations.health import context as limits
from workflow_backend.operations.health.checks import index
from workflow_backend.operations.health.context import Context
from workflow_backend.operations.health.result import State

from ...fake_node import FakeNode, settings

VARIABLES = Path(__file__).parents[5] / "roles" / "xian_node" / "vars" / "main" / "programs.yml"


def index_status(height: int, lag: int, *, healthy: bool = True, problem: str = "") -> IndexStatus:
    return IndexStatus(height, lag, 0, healthy, problem)


@pytest.mark.parametrize(
    ("before", "after", "state", "word"),
    [
        (index_status(7, 0), index_status(7, 0), State.OK, "height 7"),
        (index_status(7, 5), index_status(8, 5), State.OK, "5 blocks behind"),
        (index_status(7, 900), index_status(8, 900), State.WARNING, "slow but moving"),
        (index_status(7, 1), index_status(7, 1), State.FAILED, "wedged"),
        (
            index_status(7, 9),
            index_status(7, 12, problem="no such escape"),
            State.FAILED,
            "no such escape",
        ),
        (
            index_status(7, 0),
            index_status(7, 0, healthy=False, problem="refused"),
            State.FAILED,
            "refused",
        ),
    ],
)
def test_index_that_is_wedged_is_distinguished_from_a_slow_one(
    before: IndexStatus, after: IndexStatus, state: State, word: str
) -> None:
    check = index.evaluate(before, after, 5.0)
    assert check.state == state
    assert word in check.what


def test_index_that_can_never_be_level_names_what_it_lacks() -> None:
    behind = index_status(7, 30)
    check = index.evaluate(behind, behind, 5.0, base=12)
    assert check.state == State.FAILED
    assert "lacks the blocks 8 to 11" in check.what
    assert index.evaluate(index_status(7, 3), index_status(8, 2), 5.0, base=9).state == State.OK


def test_index_with_more_than_the_node_is_another_history() -> None:
    ahead = replace(index_status(60, 0), ahead=25)
    check = index.evaluate(ahead, ahead, 5.0)
    assert check.state == State.FAILED
    assert "it has 25 blocks that the node does not have, up to 60" in check.what
    # On a busy chain a block is made between the two numbers.
    moving = replace(index_status(59, 0), ahead=1)
    assert index.evaluate(moving, index_status(60, 0), 5.0).state == State.OK


def test_index_with_holes_names_their_number() -> None:
    check = index.evaluate(index_status(60, 0), replace(index_status(60, 0), holes=12), 5.0)
    assert (check.state, check.what) == (
        State.FAILED,
        "12 of the blocks up to 60 are not in it",
    )


@pytest.mark.parametrize(("lag", "height"), [(LAG_LIMIT, None), (LAG_LIMIT + 1, 8)])
async def test_index_that_is_far_behind_says_how_far_it_has_caught_up(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch, lag: int, height: int | None
) -> None:
    async def status(context: Context) -> IndexStatus:
        del context
        return index_status(8, lag)

    monkeypatch.setattr(index, "_status", status)
    monkeypatch.setattr(limits, "STILL_SECONDS", 0.0)
    watched = settings(node, XIAN_WORKFLOW_INDEX="yes")
    async with Rpc(node.url) as rpc:
        contract = Node(rpc, watched.contract)
        context = Context(watched, DesiredState.load(watched.environment), contract, None)
        context.chain.learn(await contract.status())
        await index.run(context)
    assert await context.index_catching_up.get() == height
