"""How high a chain is, by what several nodes say: one alone may say what it likes."""

from collections.abc import Mapping
from dataclasses import dataclass

APART = 20
"""Blocks that nodes may be apart that were asked at once and make blocks together."""

SEVERAL = 2


@dataclass(frozen=True, slots=True)
class Heights:
    """The greatest height that counts, who says it or nearly so, and who is far above others."""

    top: int
    tellers: Mapping[str, int]
    odd: Mapping[str, int]

    @property
    def vouched(self) -> bool:
        """Whether several say it."""
        return len(self.tellers) >= SEVERAL

    def sentence(self) -> str:
        """Say who is odd, empty where nobody is."""
        return "; ".join(f"{host} says height {height}" for host, height in self.odd.items())


def agreed(told: Mapping[str, int]) -> Heights:
    """Return what counts of the heights that hosts told at once; one that is below takes part.

    Who is above the second highest by more than blocks can be made meanwhile is left out. Where one
    tells alone, what it says is returned, and nobody vouches for it.
    """
    ordered = sorted(told.values(), reverse=True)
    bound = ordered[1] + APART if len(ordered) > 1 else max(ordered, default=0)
    tellers = {host: height for host, height in told.items() if height <= bound}
    odd = {host: height for host, height in told.items() if height > bound}
    top = max(tellers.values(), default=0)
    near = {host: height for host, height in tellers.items() if height >= top - APART}
    return Heights(top, near, odd)
