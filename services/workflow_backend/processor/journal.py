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
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..chain.events import Cursor
from ..errors import SettingError
from .handlers.job import LONGEST_WAIT
from .schema import MIGRATIONS

WAL_BYTES = 16 * 1024 * 1024
"""A write-ahead log that grew longer shrinks to this again."""

# When an item's next try may be, on the monotonic clock: at once, or as `failed_tries` tells. The
# time of day may have been set since: none is put off for longer than ever.
_NEXT_TRY = """min(
    coalesce((SELECT not_before FROM failed_tries t WHERE t.item_id = {}) - :of_day, 0), :latest
)"""

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


class Tried(NamedTuple):
    """How many tries at an item have failed, and in how many seconds the next may be."""

    item_id: str
    number: int
    wait: float


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
        except SettingError:
            self._database.close()
            raise
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
        self._database.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise SettingError(
                f"the journal is of a newer release: its schema is {version}, the newest known "
                f"here {len(MIGRATIONS)}",
                hint="go on with that release, or name another XIAN_WORKFLOW_STATE_DIR: what the "
                "chain has is found again, tries and results that were not reported are not",
            )
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
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
        """Take in a page of events, its cursor with it.

        One among both was settled and then submitted anew.
        """
        with self._database:
            self._forget(settled)
            self._put(opened)
            self._database.execute("UPDATE reader SET cursor = ?", (json.dumps(cursor.as_json()),))

    def put(self, opened: Iterable[Open], settled: Iterable[str] = ()) -> None:
        """Say of some items when to look at them, and drop everything about others.

        One among both was settled and is submitted anew. None is looked at before its next try.
        """
        opened = list(opened)
        with self._database:
            self._forget(settled, {item.item_id for item in opened})
            self._put(opened)

    def _put(self, opened: Iterable[Open]) -> None:
        times = _times()
        self._database.executemany(
            "INSERT INTO open_items (item_id, kind, due) "  # noqa: S608
            f"VALUES (:item_id, :kind, max(:due, {_NEXT_TRY.format(':item_id')})) "
            "ON CONFLICT (item_id) DO UPDATE SET due = excluded.due, "
            "kind = CASE excluded.kind WHEN '' THEN kind ELSE excluded.kind END",
            (item._asdict() | times for item in opened),
        )

    def _forget(self, item_ids: Iterable[str], open_still: Collection[str] = ()) -> None:
        ids = [(item_id,) for item_id in item_ids]
        for table in ("results", "failed_tries"):
            self._database.executemany(f"DELETE FROM {table} WHERE item_id = ?", ids)  # noqa: S608
        over = [row for row in ids if row[0] not in open_still]
        self._database.executemany("DELETE FROM open_items WHERE item_id = ?", over)

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
        """Return what an earlier process had taken.

        All else is due, or else when its next try may be: what was known else may be stale.
        """
        with self._database:
            self._database.execute(
                f"UPDATE open_items SET due = {_NEXT_TRY.format('open_items.item_id')} "  # noqa: S608
                "WHERE due < :taken",
                {"taken": _TAKEN} | _times(),
            )
        rows = self._database.execute("SELECT item_id FROM open_items WHERE due = ?", (_TAKEN,))
        return [item_id for (item_id,) in rows]

    def wake(self, latest: float, besides: Collection[str]) -> int:
        """Make due what is due after `latest` and not among `besides`; return how many.

        What waits for its next try goes on to wait.
        """
        next_try = _NEXT_TRY.format("open_items.item_id")
        rows = self._database.execute(
            f"SELECT item_id FROM open_items WHERE due > max(:due, 1 + {next_try})",  # noqa: S608
            {"due": latest} | _times(),
        )
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

    def tried(self, tries: Sequence[Tried]) -> None:
        """Write down how many tries at items have failed, and when the next may be."""
        now = time.time()
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO failed_tries VALUES (?, ?, ?)",
                [(item_id, number, now + wait) for item_id, number, wait in tries],
            )

    def tries(self, item_id: str) -> tuple[int, float]:
        """Return how many tries at an item have failed, and in how many seconds the next may be."""
        row = self._database.execute(
            "SELECT number, not_before FROM failed_tries WHERE item_id = ?", (item_id,)
        ).fetchone()
        if row is None:
            return 0, 0.0
        return row[0], max(0.0, min(row[1] - time.time(), LONGEST_WAIT))


def _times() -> dict[str, float]:
    """Return what `_NEXT_TRY` needs: the time of day of the monotonic clock's zero, and a limit."""
    now = time.monotonic()
    return {"of_day": time.time() - now, "latest": now + LONGEST_WAIT}
