"""What processor and handlers' process both know of a kind; the first learns it from the second."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when a try follows another: `tries` in all, the waits double from the first."""

    tries: int
    first_seconds: float
    longest_seconds: float


@dataclass(frozen=True, slots=True)
class Kind:
    """How many of a kind run at once, for how long each, and what follows a try that failed."""

    concurrency: int
    timeout_seconds: float
    retry: RetryPolicy

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Kind:
        """Build it from what `asdict` gave; raises KeyError or TypeError on anything else."""
        retry = RetryPolicy(**value["retry"])
        return cls(int(value["concurrency"]), float(value["timeout_seconds"]), retry)
