"""How much chi to supply for a batch: an estimate with head-room, corrected by receipts."""

from collections.abc import Sequence

from .contract import Action

TX_LIMIT = 1_000_000
"""Chi that a transaction may supply at most in fee mode `free_metered`; the node's default."""

BASE = 400
PER_ACTION = 60
PER_BYTE = 0.2
HEAD_ROOM = 1.5


class ChiBudget:
    """Estimates the chi of a batch, from the usage of the transactions before it."""

    def __init__(self) -> None:
        self._correction = 1.0

    def supply(self, actions: Sequence[Action]) -> int:
        """Return the chi to supply for these actions in one transaction."""
        return min(TX_LIMIT, int(_estimate(actions) * self._correction * HEAD_ROOM))

    def record_usage(self, actions: Sequence[Action], used: int) -> None:
        """Correct the estimate by the chi that a transaction used: up at once, down slowly."""
        ratio = used / _estimate(actions)
        self._correction = max(ratio, self._correction * 0.95 + ratio * 0.05)

    def record_exhaustion(self, actions: Sequence[Action]) -> bool:
        """Double the estimate after a batch ran out of chi; return False if it is at the limit."""
        before = self.supply(actions)
        self._correction *= 2
        return self.supply(actions) > before


def _estimate(actions: Sequence[Action]) -> float:
    write_size = sum(action.write_size for action in actions)
    return BASE + PER_ACTION * len(actions) + PER_BYTE * write_size
