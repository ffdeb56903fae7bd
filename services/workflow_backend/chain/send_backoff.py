"""The pause before the next new transaction while the node takes none."""

import time

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 2.0


class SendBackoff:
    """A pause that doubles with each refusal in a row."""

    def __init__(self) -> None:
        self._seconds = self._until = 0.0

    @property
    def is_over(self) -> bool:
        """Whether a transaction may be sent now."""
        return time.monotonic() >= self._until

    def grow(self) -> None:
        """Begin the next, longer pause."""
        self._seconds = min(LONGEST_SECONDS, self._seconds * 2 or FIRST_SECONDS)
        self._until = time.monotonic() + self._seconds

    def hold_until(self, at: float) -> None:
        """Pause until a time of the monotonic clock."""
        self._until = at

    def reset(self) -> None:
        """End the pause; the next one is short again."""
        self._seconds = self._until = 0.0
