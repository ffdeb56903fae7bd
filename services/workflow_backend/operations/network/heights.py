"""The height of a chain by what several nodes say: one alone may say what it likes."""

from collections.abc import Mapping
from dataclasses import dataclass

MAX_SPREAD = 20
"""Blocks by which nodes that make blocks together may differ when all are asked at once."""

MIN_CONFIRMATIONS = 2
"""Nodes that have to say the same before it is believed."""


@dataclass(frozen=True, slots=True)
class ChainHeight:
    """The height that several hosts have, by host who is near it, and who claims far more.

    `ceiling` is the greatest height of those that are near: no honest one is above it, but a single
    host may have said it, so it is waited for by nobody.
    """

    height: int
    ceiling: int
    confirmed_by: Mapping[str, int]
    outliers: Mapping[str, int]

    @property
    def is_confirmed(self) -> bool:
        """Whether several nodes say it."""
        return len(self.confirmed_by) >= MIN_CONFIRMATIONS

    def describe_outliers(self) -> str:
        """Name the outliers, empty where there are none."""
        return "; ".join(f"{host} says height {height}" for host, height in self.outliers.items())

    def describe_leader(self) -> str:
        """Name the host that is alone above the others, as the end of a sentence; else empty."""
        leaders = [host for host, claim in self.confirmed_by.items() if claim > self.height]
        return "".join(
            f"; {host} alone says height {self.ceiling}, the others {self.height} at most"
            for host in leaders
        )


def agree_on_height(claims: Mapping[str, int]) -> ChainHeight:
    """Return the height that hosts agree on which were asked at once.

    It is the second highest: a host alone above all others decides nothing. A claim far above it is
    an outlier: so many blocks can't be made meanwhile. A single host's claim is returned, but
    nobody confirms it.
    """
    ordered = sorted(claims.values(), reverse=True)
    height = max(ordered[:2][-1:], default=0)
    limit = height + MAX_SPREAD if len(ordered) > 1 else height
    believed = {host: claim for host, claim in claims.items() if claim <= limit}
    outliers = {host: claim for host, claim in claims.items() if claim > limit}
    ceiling = max(believed.values(), default=0)
    near = {host: claim for host, claim in believed.items() if claim >= height - MAX_SPREAD}
    return ChainHeight(height, ceiling, near, outliers)
