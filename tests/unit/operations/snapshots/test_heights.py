"""What three heights say."""

from typing import Any

import pytest

from workflow_backend.operations import progress_deadline
from workflow_backend.operations.snapshots import heights as module
from workflow_backend.operations.snapshots.heights import (
    HeightsFound,
    HeightsRequest,
    heights,
    missing,
    uneven,
)
from workflow_backend.settings import Settings


def seen(**changes: Any) -> HeightsFound:
    level = {
        "catching_up": False,
        "base": 1,
        "chain": 50,
        "index": 50,
        "block_count": 51,
        "projection": 50,
    }
    return HeightsFound(**{**level, **changes})


def test_level() -> None:
    assert missing(seen()) is None
    assert uneven(seen(), HeightsRequest()) == []


@pytest.mark.parametrize(
    ("changes", "first", "last"),
    [
        ({"base": 40, "index": 20, "block_count": 21}, 21, 39),
        ({"base": 40, "index": 38, "block_count": 39}, 39, 39),
        ({"base": 40, "index": 0, "block_count": 1}, 1, 39),
        ({"block_count": 49}, 0, 50),
    ],
)
def test_heights_name_the_blocks_that_can_not_be_indexed_any_more(
    changes: Any, first: int, last: int
) -> None:
    gap = missing(seen(**changes))
    assert gap is not None
    assert (gap["first"], gap["last"]) == (first, last)


@pytest.mark.parametrize(
    "changes",
    [
        {"base": 40, "index": 39, "block_count": 40},
        {"index": 20, "block_count": 21},
        {"index": None, "block_count": None},
    ],
)
def test_index_that_catches_up_is_no_gap(changes: Any) -> None:
    assert missing(seen(**changes)) is None
    assert uneven(seen(**changes), HeightsRequest()) != []


def test_heights_compare_only_what_was_requested() -> None:
    low = seen(index=None, projection=None)
    assert uneven(low, HeightsRequest(index=False, projection=False)) == []
    assert len(uneven(low, HeightsRequest())) == 2
    assert "catching up" in uneven(seen(catching_up=True), HeightsRequest())[0]


class Clock:
    """Each pause is a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        del seconds
        self.now += 1


@pytest.mark.parametrize(
    ("index", "level", "seconds"),
    [
        (range(30, 51), True, 20),  # 21 looks, though 5 s are allowed: each is nearer
        ([30, 40, *[40] * 100], False, 7),
        ([50, 40, *[41] * 100], True, 0),
        ([60] * 100, False, 6),  # of another history
    ],
)
def test_heights_are_waited_for_while_they_come_nearer(
    monkeypatch: pytest.MonkeyPatch, index: Any, level: bool, seconds: int
) -> None:
    clock, at = Clock(), iter(index)

    def read(*_: object) -> HeightsFound:
        return seen(index=next(at), block_count=None)

    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(progress_deadline, "time", clock)
    monkeypatch.setattr(module, "_read", read)
    answer = heights(
        Settings.load({"XIAN_CHAIN_ID": "one-1"}), HeightsRequest(seconds=5), check=False
    )
    assert (answer["level"], clock.now) == (level, seconds)


def test_heights_are_waited_for_while_the_node_takes_blocks_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    # The chain gets away from its index, which follows once the node has all blocks.
    ahead = [seen(chain=height, catching_up=True) for height in range(51, 80)]
    behind = [
        seen(chain=80, projection=80, index=height, block_count=None) for height in range(50, 81)
    ]
    chain = iter([*ahead, *behind])
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(progress_deadline, "time", clock)
    monkeypatch.setattr(module, "_read", lambda *_: next(chain))
    answer = heights(
        Settings.load({"XIAN_CHAIN_ID": "one-1"}), HeightsRequest(seconds=5), check=False
    )
    assert (answer["level"], clock.now) == (True, len(ahead) + len(behind) - 1)


def test_followers_of_a_busy_chain_have_to_reach_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    # They are four blocks behind for ever, as fast as the chain is.
    heights_seen = (
        seen(chain=50 + n, index=46 + n, projection=46 + n, block_count=None) for n in range(100)
    )
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(progress_deadline, "time", clock)
    monkeypatch.setattr(module, "_read", lambda *_: next(heights_seen))
    answer = heights(
        Settings.load({"XIAN_CHAIN_ID": "one-1"}), HeightsRequest(seconds=5), check=False
    )
    assert (answer["level"], answer["heights"]["index"], clock.now) == (True, 50, 4)
