"""What follows a failed try, who goes first, when to contend: decisions without a chain."""

import asyncio
from dataclasses import replace

import pytest

from workflow_backend.items import Item
from workflow_backend.processor.contest import Contest
from workflow_backend.processor.handlers.kinds import RetryPolicy
from workflow_backend.processor.retry import Again, GiveUp, decide
from workflow_backend.processor.spread import REMEMBERED, Spread
from workflow_backend.processor.turn import Turn

POLICY = RetryPolicy(tries=4, first_seconds=2.0, longest_seconds=5.0)


def wait(tries: int, after: float | None = None, chance: float = 0.0) -> float:
    decision = decide(POLICY, tries, "why", after, chance)
    assert isinstance(decision, Again)
    return decision.seconds


class TestRetry:
    def test_waits_double_up_to_the_longest_and_are_spread_over_a_half(self) -> None:
        assert [wait(n) for n in (1, 2, 3)] == [2.0, 4.0, 5.0]
        assert [wait(n, chance=1.0) for n in (1, 2, 3)] == [1.0, 2.0, 2.5]

    def test_the_wish_of_a_service_is_honoured(self) -> None:
        assert wait(1, after=30.0) == 30.0
        assert wait(3, after=1.0) == 5.0

    def test_the_last_try_gives_up_with_the_reason(self) -> None:
        assert decide(POLICY, 4, "no answer", None) == GiveUp("no answer (given up after 4 tries)")
        once = replace(POLICY, tries=1)
        assert decide(once, 1, "no", 9.0) == GiveUp("no (given up after 1 try)")

    def test_a_thousand_tries_do_not_overflow(self) -> None:
        many = replace(POLICY, tries=1001)
        assert isinstance(decide(many, 1000, "why", None), Again)


class TestSpread:
    def test_alone_nobody_waits(self) -> None:
        assert Spread("a").delay("item", "job", 0.0) == 0.0

    def test_exactly_one_of_several_goes_first_and_each_gets_a_share(self) -> None:
        names = ["a", "b", "c"]
        spreads = {name: Spread(name) for name in names}
        for name, spread in spreads.items():
            for other in names:
                if other != name:
                    spread.claimed(other, "job", 0.0)
        ids = [f"item-{n}" for n in range(300)]
        firsts = []
        for item_id in ids:
            delays = {name: spreads[name].delay(item_id, "job", 1.0) for name in names}
            assert len(set(delays.values())) == len(names)
            (first,) = (name for name, delay in delays.items() if delay == 0.0)
            firsts.append(first)
        assert min(firsts.count(name) for name in names) > 60

    def test_who_is_gone_or_claims_other_kinds_has_no_head_start(self) -> None:
        spread = Spread("a")
        spread.claimed("b", "job", 0.0)
        ids = [f"item-{n}" for n in range(50)]
        assert any(spread.delay(i, "job", 1.0) for i in ids)
        assert not any(spread.delay(i, "http", 1.0) for i in ids)
        assert not any(spread.delay(i, "job", REMEMBERED + 1.0) for i in ids)


HELD = Item(
    item_id="a",
    requester="r",
    kind="job",
    payload_uri="p",
    metadata_ref="",
    client="",
    status="processing",
    worker="other",
    result_uri="",
    failure_reason="",
    created_at="1970-01-01 00:00:00",
    updated_at="1970-01-01 00:01:40",
    attempt=1,
    lease_seconds=10,
    contested_at=None,
)


class TestContest:
    def test_one_contends_when_a_renewal_is_overdue_since_the_claim_was_seen(self) -> None:
        contest = Contest()
        contest.claimed("a", HELD.updated_at, 1000.0)
        assert contest.when(HELD, 1003.0) == pytest.approx(1006.0)

    def test_a_renewal_begins_the_wait_anew(self) -> None:
        contest = Contest()
        contest.claimed("a", HELD.updated_at, 1000.0)
        renewed = replace(HELD, updated_at="1970-01-01 00:01:43.5")
        assert contest.when(renewed, 1005.0) == pytest.approx(1011.0)
        assert contest.when(renewed, 1008.0) == pytest.approx(1011.0)

    def test_a_started_clock_is_asked_for_once_and_then_waited_for(self) -> None:
        contest, contested = Contest(), replace(HELD, contested_at="2999-01-01 00:00:00")
        assert contest.when(contested, 1000.0) == 1000.0
        assert contest.refused(contested, 1000.5) == pytest.approx(1010.5)
        assert contest.when(contested, 1001.0) == pytest.approx(1010.5)
        # A block's `now` may be the time of the block before, so the next one follows at once.
        assert contest.refused(contested, 1010.5) - 1010.5 < 0.1
        assert contest.refused(contested, 1010.6) - 1010.6 == pytest.approx(1.0)
        assert contest.refused(contested, 1011.6) - 1011.6 == pytest.approx(1.0)

    def test_a_contention_that_started_the_clock_is_followed_at_once(self) -> None:
        contest = Contest()
        contest.when(HELD, 1000.0)
        assert contest.refused(HELD, 1006.0) - 1006.0 < 0.1
        assert contest.refused(HELD, 1006.1) - 1006.1 == pytest.approx(1.0)
        contested = replace(HELD, contested_at="1970-01-01 00:16:44.250000")
        assert contest.when(contested, 1006.2) == 1006.2


class TestTurn:
    async def test_what_comes_in_one_turn_is_done_at_once_and_in_order(self) -> None:
        flushed: list[list[int]] = []
        turn = Turn[int](lambda entries: flushed.append(list(entries)))
        await asyncio.gather(turn.add(1), turn.add(2), turn.add(3))
        await turn.add(4)
        assert flushed == [[1, 2, 3], [4]]

    async def test_everybody_hears_of_a_failure(self) -> None:
        def fail(_: object) -> None:
            raise OSError("disk full")

        turn = Turn[int](fail)
        results = await asyncio.gather(turn.add(1), turn.add(2), return_exceptions=True)
        assert [str(error) for error in results] == ["disk full"] * 2
