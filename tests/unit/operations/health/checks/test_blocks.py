"""The blocks' check: they come where there is work, or where they are made at intervals."""

from datetime import UTC, datetime

import pytest

from workflow_backend.chain.cometbft_answers import ChainStatus
from workflow_backend.operations.health.checks import blocks
from workflow_backend.operations.health.result import State

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def chain_status(height: int) -> ChainStatus:
    return ChainStatus(
        chain_id="net-1",
        node_id="a" * 40,
        height=height,
        block_time="2026-01-01T11:00:00.123456789Z",
        catching_up=False,
        base=1,
        app_hash="",
        validator="A" * 40,
    )


@pytest.mark.parametrize(
    ("after", "waiting", "limit", "state"),
    [
        (7, 0, None, State.OK),  # no work, no blocks: as it should be
        (8, 3, None, State.OK),
        (7, 3, None, State.FAILED),
        (7, 0, 3599.0, State.FAILED),
        (7, 0, 3601.0, State.OK),
    ],
)
def test_blocks_must_come_with_work_or_at_intervals(
    after: int, waiting: int, limit: float | None, state: State
) -> None:
    found = blocks.evaluate(chain_status(7), chain_status(after), waiting, limit, NOW)
    assert found.state == state
