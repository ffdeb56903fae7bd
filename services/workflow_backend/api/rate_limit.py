"""The rate limit: a token bucket for each client."""

import time


class RateLimit:
    """Token buckets that refill at `per_second` and hold one second's worth, at least one."""

    def __init__(self, per_second: float) -> None:
        self._rate = per_second
        self._capacity = max(1.0, per_second)
        self._buckets: dict[str, tuple[float, float]] = {}
        self._swept_at = time.monotonic()

    def take(self, client: str) -> float:
        """Take one request's token; return 0, or the seconds until there is one."""
        now = time.monotonic()
        self._drop_full_buckets(now)
        level, at = self._buckets.get(client, (self._capacity, now))
        level = min(self._capacity, level + (now - at) * self._rate)
        if level < 1:
            self._buckets[client] = (level, now)
            return (1 - level) / self._rate
        self._buckets[client] = (level - 1, now)
        return 0.0

    def _drop_full_buckets(self, now: float) -> None:
        """Forget buckets that are full again, because there are many addresses to ask from."""
        refill_seconds = self._capacity / self._rate
        if now - self._swept_at > refill_seconds:
            self._swept_at = now
            self._buckets = {
                client: bucket
                for client, bucket in self._buckets.items()
                if now - bucket[1] < refill_seconds
            }
