"""What follows a try that failed: another one after a while, or none."""

import random
from typing import NamedTuple

from .handlers.kinds import RetryPolicy


class Again(NamedTuple):
    """Try again in so many seconds."""

    seconds: float


class GiveUp(NamedTuple):
    """The item has failed, for this reason."""

    reason: str


def decide(
    policy: RetryPolicy, tries: int, reason: str, after: float | None, chance: float | None = None
) -> Again | GiveUp:
    """Decide after `tries` tries, the last of which failed for `reason`.

    `after` is the wait in seconds that the handler asked for, if it did. `chance` (0 to 1, random
    by default) shortens the wait by up to a half, so that what failed together does not come back
    together.
    """
    if tries >= policy.tries:
        return GiveUp(f"{reason} (given up after {tries} {'try' if tries == 1 else 'tries'})")
    doubled = policy.first_seconds * 2.0 ** min(tries - 1, 64)
    spread = 1.0 - 0.5 * (random.random() if chance is None else chance)  # noqa: S311 - no secret
    seconds = min(doubled, policy.longest_seconds) * spread
    return Again(max(seconds, after or 0.0))
