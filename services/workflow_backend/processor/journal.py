"""What the processor must not forget: how far it read, which items are open, what came of them.

An item stands in `open_items` from when it is first heard of until it is settled. Before a claim
is sent, the item is marked as taken; after a restart those that were taken are looked at first, and
their records tell what a lost claim or a lost report came to. No transaction's hash is needed for
that: one that is not found may still come, and then its claim stands in the record, or meets the
claim that was sent anew, and the later of the two is answered that this worker holds the item
already. A result is written down before it is reported. The file survives a kill of the process at
any moment; after a power cut the last moment may be missing, and a handler may then run once more.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..chain.events import Cursor
from ..errors import SettingError

_MIGRATIONS = (
    """
    CREATE TABLE IF NOT EXISTS reader (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        chain_id TEXT NOT NULL,
        contract TEXT NOT NULL,
        cursor TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS open_items (item_id TEXT PRIMARY KEY, due REAL NOT NULL);
    CREATE TABLE IF NOT EXISTS results (
        item_id TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        completed INTEGER NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (item_id, attempt)
    );
    """,
    """
    ALTER TABLE reader ADD COLUMN swept TEXT NOT NULL DEFAULT '';
    ALTER TABLE open_items ADD COLUMN kind TEXT NOT NULL DEFAULT '';
    DROP INDEX IF EXISTS open_items_due;
    CREATE INDEX open_items_kind_due ON open_items (kind, due);
    CREATE TABLE tries (
        item_id TEXT PRIMARY KEY,
        attempt INTEGER NOT NULL,
        number INTEGER NOT NULL
    );
    """,
)

_TAKEN = 1e12
"""The due time of an item that this process works on: later than any other."""

CHOICE = 4
"""Among so many times the items that there is room for, `due` takes those of the lowest rank."""


class Result(NamedTuple):
    """What is to be reported: a result's URI when it completed, else the reason why it failed."""

    completed: bool
    text: str


class Open(NamedTuple):
    """An open item: its kind ("" where that is unknown) and when to look at it."""

    item_id: str
    kind: str
    due: float


class Journal:
    """One processor's memory, in SQLite.

    `due` times are seconds on the monotonic clock, which nobody sets; `recover` forgets those of an
    earlier process.
    """

    def __init__(self, path: Path, chain_id: str, contract: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Several event loop tasks use it, one statement at a time, from the loop's own thread.
        self._database = sqlite3.connect(path, timeout=1.0)
        try:
            self._open(chain_id, contract)
        except sqlite3.OperationalError as error:
            self._database.close()
            if "locked" not in str(error):
                raise
            raise SettingError(
                f"another processor uses the journal {path}",
                hint="each processor has a wallet and an XIAN_WORKFLOW_STATE_DIR of its own",
            ) from error
        owner = self._database.execute("SELECT chain_id, contract FROM reader").fetchone()
        if owner != (chain_id, contract):
            self._database.close()
            raise SettingError(
                f"{path} is the journal of {owner[1]} on {owner[0]}, not {contract} on {chain_id}",
                hint="name another XIAN_WORKFLOW_STATE_DIR",
            )

    def _open(self, chain_id: str, contract: str) -> None:
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        for number, script in enumerate(_MIGRATIONS[version:], version + 1):
            self._database.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")
        with self._database:
            self._database.execute(
                "INSERT INTO reader (id, chain_id, contract, cursor) VALUES (1, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                (chain_id, contract, json.dumps(Cursor().as_json())),
            )

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def cursor(self) -> Cursor:
        """Return how far the events were read."""
        (text,) = self._database.execute("SELECT cursor FROM reader").fetchone()
        return Cursor.from_json(json.loads(text))

    def read(self, cursor: Cursor, opened: Iterable[Open], settled: Iterable[str]) -> None:
        """Take in a page of events, its cursor with it."""
        with self._database:
            self._put(opened)
            self._forget(settled)
            self._database.execute("UPDATE reader SET cursor = ?", (json.dumps(cursor.as_json()),))

    def put(self, opened: Iterable[Open], settled: Iterable[str] = ()) -> None:
        """Say of some items when to look at them, and drop everything about others."""
        with self._database:
            self._put(opened)
            self._forget(settled)

    def _put(self, opened: Iterable[Open]) -> None:
        self._database.executemany(
            "INSERT INTO open_items (item_id, kind, due) VALUES (?, ?, ?) "
            "ON CONFLICT (item_id) DO UPDATE SET due = excluded.due, "
            "kind = CASE excluded.kind WHEN '' THEN kind ELSE excluded.kind END",
            opened,
        )

    def _forget(self, item_ids: Iterable[str]) -> None:
        ids = [(item_id,) for item_id in item_ids]
        for table in ("open_items", "results", "tries"):
            self._database.executemany(f"DELETE FROM {table} WHERE item_id = ?", ids)  # noqa: S608

    def due(
        self,
        now: float,
        limits: Mapping[str, int],
        most: int,
        rank: Callable[[str, str], float] | None = None,
    ) -> list[str]:
        """Return items to look at now, up to a limit for each kind.

        Those that wait longest come first, among these those whose `rank` by id and kind is lowest.
        They count as taken from now on, until `put` says something else.
        """
        rows: list[tuple[float, str]] = []
        for kind, limit in limits.items():
            room = min(limit, most)
            if not room:
                continue
            first = self._database.execute(
                "SELECT due, item_id FROM open_items WHERE kind = ? AND due <= ? "
                "ORDER BY due LIMIT ?",
                (kind, now, room * CHOICE),
            ).fetchall()
            if rank is not None and len(first) > room:
                first.sort(key=lambda row: rank(row[1], kind))
            rows += first[:room]
        ids = [item_id for _, item_id in sorted(rows)[:most]]
        if ids:
            self.take(ids)
        return ids

    def take(self, item_ids: Iterable[str]) -> None:
        """Mark items as taken."""
        with self._database:
            self._database.executemany(
                f"UPDATE open_items SET due = {_TAKEN} WHERE item_id = ?",  # noqa: S608
                [(item_id,) for item_id in item_ids],
            )

    def next_due(self, kinds: Iterable[str]) -> float | None:
        """Return when the next item of these kinds is to be looked at, or None."""
        found = [
            self._database.execute(
                "SELECT min(due) FROM open_items WHERE kind = ?", (kind,)
            ).fetchone()[0]
            for kind in kinds
        ]
        return min((due for due in found if due is not None and due < _TAKEN), default=None)

    def recover(self) -> list[str]:
        """Return what an earlier process had taken; all else is due: what it knew may be stale."""
        with self._database:
            self._database.execute("UPDATE open_items SET due = 0 WHERE due < ?", (_TAKEN,))
        rows = self._database.execute("SELECT item_id FROM open_items WHERE due = ?", (_TAKEN,))
        return [item_id for (item_id,) in rows]

    def wake(self, latest: float, besides: Collection[str]) -> int:
        """Make due what is due after `latest` and not among `besides`; return how many."""
        rows = self._database.execute("SELECT item_id FROM open_items WHERE due > ?", (latest,))
        lost = [(item_id,) for (item_id,) in rows if item_id not in besides]
        with self._database:
            self._database.executemany("UPDATE open_items SET due = 0 WHERE item_id = ?", lost)
        return len(lost)

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

    def waiting(self, now: float, besides: Collection[str]) -> dict[str, int]:
        """Return how many items are due of each kind that is not among `besides`."""
        found: dict[str, int] = {}
        kind: str | None = ""
        # From kind to kind: counting all items would take long where many wait.
        while kind is not None:
            if kind not in besides:
                (count,) = self._database.execute(
                    "SELECT count(*) FROM open_items WHERE kind = ? AND due <= ?", (kind, now)
                ).fetchone()
                if count:
                    found[kind] = count
            (kind,) = self._database.execute(
                "SELECT min(kind) FROM open_items WHERE kind > ?", (kind,)
            ).fetchone()
        return found

    def swept(self) -> str:
        """Return the item that the sweep came to, "" at its beginning."""
        (item_id,) = self._database.execute("SELECT swept FROM reader").fetchone()
        return str(item_id)

    def sweep(self, item_id: str, found: Iterable[Open]) -> None:
        """Take in what a step of the sweep found, and how far it came."""
        with self._database:
            self._put(found)
            self._database.execute("UPDATE reader SET swept = ?", (item_id,))

    def results(self, results: Sequence[tuple[str, int, Result]]) -> None:
        """Write down what handlers brought to items and attempts, before it is reported."""
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)",
                [(item_id, attempt, *result) for item_id, attempt, result in results],
            )

    def unreported(self, item_id: str, attempt: int) -> Result | None:
        """Return the result of this attempt that is still to be reported, or None."""
        row = self._database.execute(
            "SELECT completed, text FROM results WHERE item_id = ? AND attempt = ?",
            (item_id, attempt),
        ).fetchone()
        return Result(bool(row[0]), row[1]) if row else None

    def tried(self, tries: Sequence[tuple[str, int, int]]) -> None:
        """Write down how many tries at items and attempts have failed."""
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO tries VALUES (?, ?, ?)", tries)

    def tries(self, item_id: str, attempt: int) -> int:
        """Return how many tries within this attempt have failed."""
        row = self._database.execute(
            "SELECT number FROM tries WHERE item_id = ? AND attempt = ?", (item_id, attempt)
        ).fetchone()
        return row[0] if row else 0
