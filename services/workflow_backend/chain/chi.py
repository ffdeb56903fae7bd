"""How much chi a batch may use: measured costs with head-room, corrected by what receipts say."""

from collections.abc import Sequence

from .contract import Action

TX_LIMIT = 1_000_000
"""The most that a transaction may supply in `free_metered`; the node's default."""

BASE = 400
PER_ACTION = 60
PER_BYTE = 0.2
HEAD_ROOM = 1.5


class ChiBudget:
    """Supplies what the last transactions of the same make needed and half as much again."""

    def __init__(self) -> None:
        self._correction = 1.0

    def supply(self, actions: Sequence[Action]) -> int:
        """Return the chi to supply for these actions in one transaction."""
        return min(TX_LIMIT, int(_predicted(actions) * self._correction * HEAD_ROOM))

    def learn(self, actions: Sequence[Action], used: int) -> None:
        """Take in what a transaction really used: up at once, down slowly."""
        ratio = used / _predicted(actions)
        self._correction = max(ratio, self._correction * 0.95 + ratio * 0.05)

    def exhausted(self, actions: Sequence[Action]) -> bool:
        """Take in that these ran out of chi; tell whether more can be supplied next time."""
        before = self.supply(actions)
        self._correction *= 2
        return self.supply(actions) > before


def _predicted(actions: Sequence[Action]) -> float:
    written = sum(action.written for action in actions)
    return BASE + PER_ACTION * len(actions) + PER_BYTE * written
