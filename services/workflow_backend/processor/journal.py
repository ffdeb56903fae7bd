"""What the processor must not forget: how far it read, which items are open, results to report.

An item stands in `open_items` from before it is claimed until it is settled, and after a restart
each is looked at again: whatever a lost claim or a lost report came to, the item's record tells.
"""

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..chain.events import Cursor
from ..errors import SettingError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS reader (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    chain_id TEXT NOT NULL,
    contract TEXT NOT NULL,
    cursor TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS open_items (item_id TEXT PRIMARY KEY, due REAL NOT NULL);
CREATE INDEX IF NOT EXISTS open_items_due ON open_items (due);
CREATE TABLE IF NOT EXISTS results (
    item_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (item_id, attempt)
);
"""

_NEVER = 1e12


class Result(NamedTuple):
    """What a handler brought: a result's URI when it completed, else the reason why it failed."""

    completed: bool
    text: str


class Journal:
    """One processor's memory, in SQLite. `due` times are Unix seconds."""

    def __init__(self, path: Path, chain_id: str, contract: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Several event loop tasks use it, one statement at a time, from the loop's own thread.
        self._database = sqlite3.connect(path)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_SCHEMA)
        with self._database:
            self._database.execute(
                "INSERT INTO reader VALUES (1, ?, ?, ?) ON CONFLICT DO NOTHING",
                (chain_id, contract, json.dumps(Cursor().as_json())),
            )
        owner = self._database.execute("SELECT chain_id, contract FROM reader").fetchone()
        if owner != (chain_id, contract):
            raise SettingError(
                f"{path} is the journal of {owner[1]} on {owner[0]}, not {contract} on {chain_id}",
                hint="name another XIAN_WORKFLOW_STATE_DIR",
            )

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def cursor(self) -> Cursor:
        """Return how far the events were read."""
        (text,) = self._database.execute("SELECT cursor FROM reader").fetchone()
        return Cursor.from_json(json.loads(text))

    def read(self, cursor: Cursor, due: dict[str, float | None]) -> None:
        """Take in a page: for each item when to look at it, None for never again."""
        with self._database:
            self._database.executemany(
                "INSERT INTO open_items VALUES (?, ?) "
                "ON CONFLICT (item_id) DO UPDATE SET due = excluded.due",
                [(item_id, when) for item_id, when in due.items() if when is not None],
            )
            self._database.executemany(
                "DELETE FROM open_items WHERE item_id = ?",
                [(item_id,) for item_id, when in due.items() if when is None],
            )
            self._database.execute("UPDATE reader SET cursor = ?", (json.dumps(cursor.as_json()),))

    def due(self, now: float, limit: int, besides: Iterable[str]) -> list[str]:
        """Return the items to look at now, those that wait longest first."""
        skip = set(besides)
        rows = self._database.execute(
            "SELECT item_id FROM open_items WHERE due <= ? ORDER BY due, rowid LIMIT ?",
            (now, limit + len(skip)),
        )
        return [item_id for (item_id,) in rows if item_id not in skip][:limit]

    def next_due(self) -> float | None:
        """Return when the next item is to be looked at, or None."""
        when: float | None = self._database.execute("SELECT min(due) FROM open_items").fetchone()[0]
        return when

    def look_again(self, item_ids: Iterable[str], when: float) -> None:
        """Put off the next look at some items."""
        with self._database:
            self._database.executemany(
                "UPDATE open_items SET due = ? WHERE item_id = ?",
                [(when, item_id) for item_id in item_ids],
            )

    def hold(self, item_id: str) -> None:
        """Look at an item no more while this process works on it."""
        self.look_again([item_id], _NEVER)

    def everything_due(self) -> int:
        """Look at every open item now: what was known of them before a restart may be stale."""
        with self._database:
            return self._database.execute("UPDATE open_items SET due = 0").rowcount

    def result(self, item_id: str, attempt: int, result: Result) -> None:
        """Write down what a handler brought, before it is reported."""
        with self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)",
                (item_id, attempt, result.completed, result.text),
            )

    def unreported(self, item_id: str, attempt: int) -> Result | None:
        """Return the result of this attempt that is still to be reported, or None."""
        row = self._database.execute(
            "SELECT completed, text FROM results WHERE item_id = ? AND attempt = ?",
            (item_id, attempt),
        ).fetchone()
        return Result(bool(row[0]), row[1]) if row else None

    def forget(self, item_ids: Iterable[str]) -> None:
        """Drop everything about items that are settled."""
        ids = [(item_id,) for item_id in item_ids]
        with self._database:
            self._database.executemany("DELETE FROM open_items WHERE item_id = ?", ids)
            self._database.executemany("DELETE FROM results WHERE item_id = ?", ids)
