"""What keeps items waiting for good: items that they come after and that ended otherwise."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import batched
from typing import Any

from ..items import FINAL_STATUSES
from .rows import Rows

IDS = 500
"""Items that one statement asks for."""


async def add_blocked_by(
    fetch: Callable[..., Awaitable[Rows]], rows: Sequence[dict[str, Any]]
) -> None:
    """Add `blocked_by` to rows of items: ids in `after` that ended without being completed.

    A failed item may still be retried, and then it blocks no more.
    """
    awaited = {each for row in rows if row["status"] == "submitted" for each in row["after"]}
    blocking: set[str] = set()
    for ids in batched(sorted(awaited), IDS, strict=False):
        marks = ", ".join(f"${number}" for number in range(1, len(ids) + 1))
        sql = f"SELECT item_id, status, ended FROM items WHERE item_id IN ({marks})"  # noqa: S608
        blocking |= {row["item_id"] for row in await fetch(sql, *ids) if _blocks(row)}
    for row in rows:
        waits = row["status"] == "submitted"
        row["blocked_by"] = tuple(each for each in row["after"] if waits and each in blocking)


def _blocks(row: Any) -> bool:
    return row["status"] in FINAL_STATUSES and "completed" not in {row["status"], row["ended"]}
