"""Reads the journal: how far the events were read, and the state of open items."""

import json
import sqlite3
import time
from collections.abc import Collection, Iterable

from ..chain.events import Cursor
from .handlers.job import LONGEST_WAIT
from .schema import Hold, PendingItem, Result, State

PRIORITIES = range(10)
HOLDS = (Hold.STOPPING, Hold.WAITING, Hold.BLOCKED, Hold.EARLY)


class JournalReader:
    """Reads a journal's database; all methods raise sqlite3.Error."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def cursor(self) -> Cursor:
        """Return how far the events were read."""
        (text,) = self._database.execute("SELECT cursor FROM reader").fetchone()
        return Cursor.from_json(json.loads(text))

    def _due_of_kind(self, kind: str, now: float, limit: int) -> list[PendingItem]:
        """Return the pending items of a kind that are due, by priority, then longest due first.

        Each priority is a range of the index: sorting all that is due takes long in a backlog.
        """
        found: list[PendingItem] = []
        for priority in PRIORITIES:
            rows = self._database.execute(
                "SELECT item_id, kind, due, is_fresh, priority FROM open_items "
                "WHERE state = 'pending' AND hold = '' AND kind = ? AND priority = ? AND due <= ? "
                "ORDER BY due LIMIT ?",
                (kind, priority, now, limit - len(found)),
            )
            found += [PendingItem(*row) for row in rows]
        return found

    def _due_held_back(self, now: float, limit: int) -> list[PendingItem]:
        """Return the items that a rule holds back and that are due, whatever their kind."""
        found: list[PendingItem] = []
        for hold in HOLDS:
            rows = self._database.execute(
                "SELECT item_id, kind, due, is_fresh, priority FROM open_items "
                "WHERE hold != '' AND hold = ? AND due <= ? AND +state = 'pending' "
                "ORDER BY due LIMIT ?",
                (hold, now, limit - len(found)),
            )
            found += [PendingItem(*row)._replace(hold=hold) for row in rows]
        return found

    def completed_prerequisites(self, item_id: str) -> set[str]:
        """Return those of the items that an item waits for of whose completion an event told."""
        rows = self._database.execute(
            "SELECT awaited FROM prerequisites WHERE item_id = ? AND is_completed", (item_id,)
        )
        return {awaited for (awaited,) in rows}

    def next_due(self, kinds: Iterable[str]) -> float | None:
        """Return when the next pending item of these kinds is due, or None."""
        found = [
            self._database.execute(
                "SELECT min(due) FROM open_items "
                "WHERE state = 'pending' AND hold = '' AND kind = ? AND priority = ?",
                (kind, priority),
            ).fetchone()[0]
            for kind in kinds
            for priority in PRIORITIES
        ]
        found += [
            self._database.execute(
                "SELECT min(due) FROM open_items "
                "WHERE hold != '' AND hold = ? AND +state = 'pending'",
                (hold,),
            ).fetchone()[0]
            for hold in HOLDS
        ]
        return min((due for due in found if due is not None), default=None)

    def in_state(self, state: State) -> set[str]:
        """Return the items in a state."""
        rows = self._database.execute("SELECT item_id FROM open_items WHERE state = ?", (state,))
        return {item_id for (item_id,) in rows}

    def busy(self) -> dict[str, int]:
        """Return by kind how many items are being claimed or are with their handlers."""
        rows = self._database.execute(
            "SELECT kind, count(*) FROM open_items WHERE state IN ('claiming', 'active') "
            "GROUP BY kind"
        )
        return dict(rows.fetchall())

    def count_due(self, now: float, besides: Collection[str]) -> dict[str, int]:
        """Return how many pending items are due of each kind that is not among `besides`."""
        found: dict[str, int] = {}
        kind: str | None = ""
        # It steps from kind to kind along the index: counting all items takes long in a backlog.
        while kind is not None:
            if kind not in besides:
                (count,) = self._database.execute(
                    "SELECT count(*) FROM open_items "
                    "WHERE state = 'pending' AND kind = ? AND due <= ?",
                    (kind, now),
                ).fetchone()
                if count:
                    found[kind] = count
            (kind,) = self._database.execute(
                "SELECT min(kind) FROM open_items WHERE state = 'pending' AND kind > ?", (kind,)
            ).fetchone()
        return found

    def count_held_back(self) -> dict[str, int]:
        """Return how many pending items each rule holds back."""
        rows = self._database.execute(
            "SELECT hold, count(*) FROM open_items WHERE hold != '' AND +state = 'pending' "
            "GROUP BY hold"
        )
        return dict(rows.fetchall())

    def kinds_of(self, item_ids: Iterable[str]) -> dict[str, str]:
        """Return the kinds of those among these items that are open."""
        kinds = {}
        for item_id in item_ids:
            row = self._database.execute(
                "SELECT kind FROM open_items WHERE item_id = ?", (item_id,)
            ).fetchone()
            if row is not None:
                kinds[item_id] = row[0]
        return kinds

    def reconciled_to(self) -> str:
        """Return the item up to which `reconcile` has come, "" at its beginning."""
        (item_id,) = self._database.execute("SELECT swept FROM reader").fetchone()
        return str(item_id)

    def recorded_result(self, item_id: str, attempt: int) -> Result | None:
        """Return the result of this attempt that is still to be reported, or None."""
        row = self._database.execute(
            "SELECT completed, text FROM results WHERE item_id = ? AND attempt = ?",
            (item_id, attempt),
        ).fetchone()
        return Result(bool(row[0]), row[1]) if row else None

    def failed_tries(self, item_id: str) -> tuple[int, float]:
        """Return how many tries at an item have failed, and the seconds until the next one."""
        row = self._database.execute(
            "SELECT number, not_before FROM failed_tries WHERE item_id = ?", (item_id,)
        ).fetchone()
        if row is None:
            return 0, 0.0
        return row[0], max(0.0, min(row[1] - time.time(), LONGEST_WAIT))
