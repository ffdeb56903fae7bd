"""The node's check: its chain, and whether it is level with its network."""

from workflow_backend.chain.cometbft_answers import ChainStatus
from workflow_backend.operations.health.checks import node
from workflow_backend.operations.health.result import State


def chain_status(*, chain_id: str = "net-1", catching_up: bool = False) -> ChainStatus:
    return ChainStatus(
        chain_id=chain_id,
        node_id="a" * 40,
        height=7,
        block_time="2026-01-01T11:00:00.123456789Z",
        catching_up=catching_up,
        base=1,
        app_hash="",
        validator="A" * 40,
    )


def test_node_on_its_chain_and_level_is_ok() -> None:
    assert node.evaluate(chain_status(), "net-1").state == State.OK


def test_node_on_another_chain_fails_and_names_it() -> None:
    check = node.evaluate(chain_status(chain_id="other-1"), "net-1")
    assert check.state == State.FAILED
    assert "'other-1'" in check.what


def test_node_that_catches_up_fails() -> None:
    assert node.evaluate(chain_status(catching_up=True), "net-1").state == State.FAILED
