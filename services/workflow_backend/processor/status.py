"""What the heartbeat tells of a worker that serves several contracts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from .job_runner import STATUS_ITEMS


def combined(statuses: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one status for those of the processors, of which each serves a contract."""
    if len(statuses) == 1:
        return statuses[0]
    items = [item for status in statuses for item in status["items"]]
    paused = {kind for status in statuses for kind in status["paused"]}
    return {
        "held": sum(status["held"] for status in statuses),
        "items": items[:STATUS_ITEMS],
        "unhandled": _sum(status["unhandled"] for status in statuses),
        "paused": sorted(paused),
        "held_back": _sum(status["held_back"] for status in statuses),
        "problem": next((status["problem"] for status in statuses if status["problem"]), ""),
    }


def _sum(numbers: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in numbers:
        total.update(each)
    return dict(total)
