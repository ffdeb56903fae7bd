"""In which order scenarios run, and which of them at the same time."""

import threading
from collections.abc import Sequence
from pathlib import Path

from tests.hosts.discovery import Scenario
from tests.hosts.turns import Turns


def scenario(name: str, *, busy: bool = False) -> Scenario:
    return Scenario(name, Path(), (), is_busy=busy)


QUICK, SLOW, NEW = scenario("quick"), scenario("slow"), scenario("new")
BUSY, BUSIER = scenario("busy", busy=True), scenario("busier", busy=True)
SECONDS = {"quick": 10, "slow": 300, "busy": 200, "busier": 500}


def names(turns: Turns, count: int) -> Sequence[str]:
    taken = [turns.take() for _ in range(count)]
    return [one.name for one in taken if one]


def test_the_longest_is_first_and_one_that_was_never_timed_is_guessed() -> None:
    turns = Turns([QUICK, NEW, SLOW, BUSY], SECONDS)
    assert names(turns, 5) == ["slow", "busy", "new", "quick"]


def test_busy_ones_take_turns() -> None:
    turns = Turns([QUICK, SLOW, BUSY, BUSIER], SECONDS)
    assert names(turns, 2) == ["busier", "slow"]
    turns.give_back(SLOW)
    assert names(turns, 1) == ["quick"]
    turns.give_back(BUSIER)
    assert names(turns, 1) == ["busy"]


def test_whoever_waits_for_a_busy_one_is_notified_when_it_has_ended() -> None:
    turns = Turns([BUSY, BUSIER], SECONDS)
    assert names(turns, 1) == ["busier"]
    taken: list[Scenario | None] = []
    waiting = threading.Thread(target=lambda: taken.append(turns.take()))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    turns.give_back(BUSIER)
    waiting.join(10)
    assert taken == [BUSY]


def test_nothing_begins_after_the_end() -> None:
    turns = Turns([QUICK, SLOW], SECONDS)
    turns.end()
    assert turns.take() is None
