"""How often one may ask."""

import time


class RateLimit:
    """A token bucket for each principal or address: so many a second, a second's worth at once."""

    def __init__(self, per_second: float) -> None:
        self._rate = per_second
        self._most = max(1.0, per_second)
        self._buckets: dict[str, tuple[float, float]] = {}
        self._swept = time.monotonic()

    def take(self, name: str) -> float:
        """Take one request; return 0, or the seconds until there is room for it."""
        now = time.monotonic()
        self._sweep(now)
        left, at = self._buckets.get(name, (self._most, now))
        left = min(self._most, left + (now - at) * self._rate)
        if left < 1:
            self._buckets[name] = (left, now)
            return (1 - left) / self._rate
        self._buckets[name] = (left - 1, now)
        return 0.0

    def _sweep(self, now: float) -> None:
        """Forget buckets that are full again: there are many addresses to ask from."""
        fills = self._most / self._rate
        if now - self._swept > fills:
            self._swept = now
            self._buckets = {
                name: bucket for name, bucket in self._buckets.items() if now - bucket[1] < fills
            }
