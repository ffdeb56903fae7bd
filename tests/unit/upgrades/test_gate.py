"""A gate opens when nodes are well; the height where all rest is proved once they are stopped."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.upgrades import gate, level
from workflow_backend.operations.upgrades.level import Rest
from workflow_backend.operations.upgrades.nodes import Seen

from .made import NAMES, nodes

type Looks = Callable[..., None]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """What is seen, look by look; the last stays."""

    def give(*given: dict[str, Seen]) -> None:
        rest = iter(given)
        last = given[-1]

        async def look(*_: Any) -> dict[str, Seen]:
            return next(rest, last)

        for module in (gate, level):
            monkeypatch.setattr(module, "look", look)
            monkeypatch.setattr(module, "POLL_SECONDS", 0.001)

    return give


def changed(seen: dict[str, Seen], **hosts: dict[str, Any]) -> dict[str, Seen]:
    return seen | {name: dataclasses.replace(seen[name], **more) for name, more in hosts.items()}


SEVEN, EIGHT = nodes(*NAMES), nodes(*NAMES, height=8, app_hash="H8")


async def well(seconds: float = 0.05, *, blocks: bool = True) -> dict[str, Any]:
    return await gate.wait({}, "unit-1", ["a"], seconds, blocks=blocks)


async def test_it_opens_when_the_chain_goes_on_with_it(looks: Looks) -> None:
    looks(nodes(*NAMES, down=["a"]), changed(SEVEN, a={"catching_up": True}), SEVEN, EIGHT)
    assert (await well(5))["nodes"]["a"]["height"] == 8


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (nodes(*NAMES, down=["a"]), "a: no connection"),
        (changed(EIGHT, a={"height": 3}), "a is at height 3 and has to catch up with 7"),
        (SEVEN, "no block was made behind height 7"),
    ],
)
async def test_it_stays_closed(looks: Looks, seen: dict[str, Seen], reason: str) -> None:
    looks(SEVEN, seen)
    with pytest.raises(RecoveryRefused, match=reason):
        await well()


async def test_a_validator_has_to_sign_again(looks: Looks) -> None:
    without = {name: {"signed": frozenset("BCD")} for name in NAMES}
    looks(SEVEN, changed(EIGHT, **without))
    with pytest.raises(RecoveryRefused, match="a signs no block"):
        await well()
    looks(SEVEN, changed(EIGHT, **without), EIGHT)
    await well()


async def test_its_own_word_counts_where_there_is_nobody_else(looks: Looks) -> None:
    looks(nodes("a"), nodes("a", height=8))
    await well()


async def test_a_chain_that_makes_blocks_on_demand_may_be_still(looks: Looks) -> None:
    looks(SEVEN)
    await well(blocks=False)


async def test_another_app_hash_is_told_at_once(looks: Looks) -> None:
    looks(changed(SEVEN, a={"app_hash": "X"}))
    with pytest.raises(RecoveryRefused, match="a has the app hash X and b H7"):
        await well(5)


ODD = {
    "a height far above": {"height": 10**11, "app_hash": "X"},
    "another app hash": {"app_hash": "X"},
    "no signature": {"signed": frozenset("BCD")},
    "a problem": {"problem": "it answers status as no node does"},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
async def test_well_does_without_one_that_says_what_no_other_does(
    looks: Looks, odd: dict[str, Any]
) -> None:
    looks(changed(SEVEN, d=odd), changed(EIGHT, d=odd))
    await well(0.5)


async def test_well_believes_one_alone_no_signature(looks: Looks) -> None:
    without = {name: {"signed": frozenset("BCD")} for name in "abc"}
    looks(SEVEN, changed(EIGHT, **without))
    with pytest.raises(RecoveryRefused, match="a signs no block"):
        await well()


async def test_well_refuses_two_against_two(looks: Looks) -> None:
    looks(changed(SEVEN, a={"app_hash": "X"}, b={"app_hash": "X"}))
    with pytest.raises(RecoveryRefused, match="a has the app hash X and c H7"):
        await well(5)


class TestOneHeight:
    async def test_it_waits_for_a_fresh_block_with_nothing_behind_it(self, looks: Looks) -> None:
        busy = changed(EIGHT, c={"waiting": 3})
        looks(SEVEN, busy, changed(EIGHT, b={"height": 7}), EIGHT)
        found = await level.wait({}, "unit-1", 5, blocks=True)
        assert found == {"running": True, "height": 8}

    async def test_on_demand_it_takes_what_there_is(self, looks: Looks) -> None:
        looks(SEVEN)
        assert (await level.wait({}, "unit-1", 5, blocks=False))["height"] == 7

    async def test_where_none_runs_there_is_nothing_to_wait_for(self, looks: Looks) -> None:
        looks(nodes(*NAMES, down=NAMES))
        assert await level.wait({}, "unit-1", 5, blocks=True) == {"running": False}

    @pytest.mark.parametrize(
        ("seen", "reason"),
        [
            (nodes(*NAMES, down=["d"]), "not up: d"),
            (changed(SEVEN, d={"waiting": 3}), "transactions wait: d 3"),
            (changed(SEVEN, d={"height": 6}), "at different heights: a 7, b 7, c 7, d 6"),
            (SEVEN, "no block was made behind height 7"),
        ],
    )
    async def test_it_is_refused(self, looks: Looks, seen: dict[str, Seen], reason: str) -> None:
        looks(seen)
        with pytest.raises(RecoveryRefused, match=reason):
            await level.wait({}, "unit-1", 0.02, blocks=True)

    def test_stopped_at_one(self) -> None:
        rests = {name: Rest(height=8, app_hash="H8", signed=8) for name in NAMES}
        assert level.require_one(rests, 8) == {"height": 8}

    @pytest.fixture(
        params=[
            (Rest(height=7, app_hash="H7", signed=8), None, "at different heights"),
            (Rest(height=8, app_hash="X", signed=8), None, "with different app hashes"),
            (Rest(height=8, app_hash="H8", signed=9), None, "on their way to the next block"),
            (Rest(height=8, app_hash="H8", signed=8), 7, "not at height 7 any more"),
        ]
    )
    def case(self, request: pytest.FixtureRequest) -> tuple[Rest, int | None, str]:
        given: tuple[Rest, int | None, str] = request.param
        return given

    def test_not_stopped_at_one(self, case: tuple[Rest, int | None, str]) -> None:
        odd, height, reason = case
        rests = {name: Rest(height=8, app_hash="H8", signed=8) for name in NAMES}
        with pytest.raises(RecoveryRefused, match=reason):
            level.require_one(rests | {"d": odd}, height)
