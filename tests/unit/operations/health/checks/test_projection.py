"""The projection's check: level, catching up, or standing still."""

import pytest

from workflow_backend.operations.health.checks import projection
from workflow_backend.operations.health.result import State


@pytest.mark.parametrize(
    ("height", "beats", "state"),
    [
        (100, (100, 100), State.OK),
        (101, (101, 101), State.OK),  # it read the index after we did
        (85, (85, 85), State.OK),
        (10, (10, 30), State.WARNING),
        (10, (10, 10), State.FAILED),
    ],
)
def test_projection_keeps_level_with_the_index(
    height: int, beats: tuple[int, int], state: State
) -> None:
    assert projection.evaluate(height, 100, *beats).state == state
