"""What three heights say."""

from typing import Any

import pytest

from workflow_backend.operations.snapshots.levels import Heights, Levels, missing, uneven


def seen(**changes: Any) -> Heights:
    level = {
        "catching_up": False,
        "base": 1,
        "chain": 50,
        "index": 50,
        "block_count": 51,
        "projection": 50,
    }
    return Heights(**{**level, **changes})


def test_level() -> None:
    assert missing(seen()) is None
    assert uneven(seen(), Levels()) == []


@pytest.mark.parametrize(
    ("changes", "first", "last"),
    [
        ({"base": 40, "index": 20, "block_count": 21}, 21, 39),
        ({"base": 40, "index": 38, "block_count": 39}, 39, 39),
        ({"base": 40, "index": 0, "block_count": 1}, 1, 39),
        ({"block_count": 49}, 0, 50),
    ],
)
def test_what_can_not_be_indexed_any_more(changes: Any, first: int, last: int) -> None:
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
def test_what_catches_up_is_no_gap(changes: Any) -> None:
    assert missing(seen(**changes)) is None
    assert uneven(seen(**changes), Levels()) != []


def test_only_what_is_asked_for_has_to_be_level() -> None:
    low = seen(index=None, projection=None)
    assert uneven(low, Levels(index=False, projection=False)) == []
    assert len(uneven(low, Levels())) == 2
    assert "catching up" in uneven(seen(catching_up=True), Levels())[0]
