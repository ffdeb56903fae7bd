"""The statements of the journal that several of its methods share, or that need an explanation."""

import time

from ..items import DEFAULT_PRIORITY
from .handlers.job import LONGEST_WAIT

_EARLIER_IN_HAND = 1e12
"""The `due` by which a release without the column `state` marks an item as in hand."""

# When the item's next try may begin, on the monotonic clock; long ago where there was no try. The
# wall clock may have been set since it was written, so the wait is bounded.
_NEXT_TRY = """min(
    coalesce((SELECT not_before FROM failed_tries t WHERE t.item_id = {}) - :epoch, 0), :latest
)"""

UPSERT = f"""
INSERT INTO open_items (item_id, kind, due, is_fresh, priority, hold)
VALUES (
    :item_id, :kind, max(:due, {_NEXT_TRY.format(":item_id")}), :is_fresh,
    coalesce(:priority, {DEFAULT_PRIORITY}), :hold
)
ON CONFLICT (item_id) DO UPDATE SET
    kind = CASE excluded.kind WHEN '' THEN kind ELSE excluded.kind END,
    due = CASE state WHEN 'pending' THEN excluded.due ELSE due END,
    is_fresh = CASE state WHEN 'pending' THEN excluded.is_fresh ELSE 0 END,
    priority = coalesce(:priority, priority),
    hold = CASE state WHEN 'pending' THEN excluded.hold ELSE hold END,
    is_reopened = state != 'pending'
"""  # noqa: S608

# The unary + keeps SQLite from walking all pending items: the ids lead to the few that wait.
WAKE = """
UPDATE open_items SET due = min(due, ?2) WHERE +state = 'pending' AND +hold != ''
    AND item_id IN (SELECT item_id FROM prerequisites WHERE awaited = ?1)
"""

PUT_BACK = """
UPDATE open_items SET state = 'pending', due = 0, is_fresh = 0, is_settled = 0, is_reopened = 0
WHERE item_id = ?
"""

RECOVER_IN_HAND = f"""
UPDATE open_items SET state = 'claiming', due = 0, is_fresh = 0, is_settled = 0, is_reopened = 0,
    hold = ''
WHERE state != 'pending' OR due >= {_EARLIER_IN_HAND}
"""  # noqa: S608

RECOVER_PENDING = f"""
UPDATE open_items SET due = {_NEXT_TRY.format("open_items.item_id")}, is_fresh = 0
WHERE state = 'pending'
"""  # noqa: S608

HASTEN = f"""
UPDATE open_items SET due = 0
WHERE state = 'pending' AND hold = ''
    AND due > max(:due, 1 + {_NEXT_TRY.format("open_items.item_id")})
"""  # noqa: S608


def clock() -> dict[str, float]:
    """Return the parameters of the next try: the wall clock at the monotonic zero, and a bound."""
    now = time.monotonic()
    return {"epoch": time.time() - now, "latest": now + LONGEST_WAIT}
