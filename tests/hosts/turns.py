"""Whose turn it is among the scenarios that wait."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from .discovery import Scenario

# Of a scenario that was never timed here.
_BUSY_SECONDS = 400
_OTHER_SECONDS = 100


class Turns:
    """Gives scenarios to those who run them: the longest first, never two busy ones at once."""

    def __init__(self, scenarios: Sequence[Scenario], seconds: Mapping[str, int]) -> None:
        def expected(scenario: Scenario) -> int:
            guess = _BUSY_SECONDS if scenario.is_busy else _OTHER_SECONDS
            return seconds.get(scenario.name, guess)

        self._waiting = sorted(scenarios, key=expected, reverse=True)
        self._busy = False
        self._changed = threading.Condition()

    def take(self) -> Scenario | None:
        """The next one, once there is one that may run; None where none waits any more."""
        with self._changed:
            while self._waiting:
                for scenario in self._waiting:
                    if not (scenario.is_busy and self._busy):
                        self._waiting.remove(scenario)
                        self._busy = self._busy or scenario.is_busy
                        return scenario
                self._changed.wait()
        return None

    def give_back(self, scenario: Scenario) -> None:
        """Say that one has ended."""
        with self._changed:
            if scenario.is_busy:
                self._busy = False
            self._changed.notify_all()

    def end(self) -> None:
        """Let nothing more begin."""
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()
