"""What the processor must not forget: how far it read the events, and the state of each open item.

A state is written before the action that it announces: `claiming` before a claim is sent,
`reporting` with its result before the report. After a restart all that was in hand is checked
first, and the item's record on the chain shows what became of it, so that no transaction hash is
kept. The file survives a kill at any moment. After a power cut the last moment may be missing, and
a handler may then run once more.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from ..chain.events import Cursor
from ..errors import JournalUnwritable
from ..outage_log import OutageLog
from . import journal_statements as statements
from .journal_reader import JournalReader
from .schema import FailedTry, Hold, PendingItem, Result, State, open_database

OVERSAMPLING = 4
"""`claim_due` reads this many times the items that it may return, and picks by rank among them."""

WAKE_SECONDS = 1.0
"""The index may have an event before the state has its effect: those that wait are due later."""

LOST_RACE_SECONDS = 0.2
"""Until the next check of an item for which another one was completed during the check."""


class Journal(JournalReader):
    """One processor's memory, in SQLite.

    What `schedule` and `settle` can't write is kept and written with the next of them, or by
    `flush`; the items stay in hand meanwhile. All other methods raise sqlite3.Error.
    """

    def __init__(self, path: Path, chain_id: str, contract: str) -> None:
        super().__init__(open_database(path, chain_id, contract))
        self._unwritten: list[Callable[[], None]] = []
        self._outage = OutageLog("the journal is written again")

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def apply_page(
        self,
        cursor: Cursor,
        opened: Iterable[PendingItem],
        settled: Iterable[str],
        completed: Iterable[str] = (),
        stopping: Iterable[tuple[str, float]] = (),
    ) -> None:
        """Write what a page of events says of items, with the cursor behind the page.

        An item that is in both was settled first and submitted again afterwards. Those that wait
        for a settled one become due. `stopping` has the items whose holders are asked to stop, and
        when they are due.
        """
        now = time.monotonic()
        with self._database:
            for item_id in settled:
                self._database.execute(statements.WAKE, (item_id, now + WAKE_SECONDS))
                in_hand = self._database.execute(
                    "UPDATE open_items SET is_settled = 1, is_reopened = 0 "
                    "WHERE item_id = ? AND state != 'pending'",
                    (item_id,),
                ).rowcount
                if not in_hand:
                    self._forget_work(item_id)
                    self._database.execute("DELETE FROM open_items WHERE item_id = ?", (item_id,))
            for item_id in completed:
                self._database.execute(
                    "UPDATE prerequisites SET is_completed = 1 WHERE awaited = ?", (item_id,)
                )
                self._database.execute(statements.WAKE, (item_id, now))
            self._upsert(opened)
            self._database.executemany(
                "UPDATE open_items SET hold = ?, due = ? WHERE item_id = ? AND state = 'pending'",
                [(Hold.STOPPING, due, item_id) for item_id, due in stopping],
            )
            self._database.execute("UPDATE reader SET cursor = ?", (json.dumps(cursor.as_json()),))

    def claim_due(
        self,
        now: float,
        limits: Mapping[str, int],
        most: int,
        rank: Callable[[str, str], float] | None = None,
    ) -> list[PendingItem]:
        """Take due items in hand, by priority, then longest due first; return them.

        `limits` says how many of each kind may be taken.

        Where more of a kind are due than may be taken, those with the lowest `rank(item_id, kind)`
        are taken among the first OVERSAMPLING times that many.
        """
        found: list[PendingItem] = []
        for kind, limit in limits.items():
            room = min(limit, most)
            if not room:
                continue
            due = self._due_of_kind(kind, now, room * OVERSAMPLING)
            if rank is not None and len(due) > room:
                due.sort(key=lambda item: (item.priority, rank(item.item_id, item.kind)))
            found += due[:room]
        found.sort(key=lambda item: (item.priority, item.due, item.item_id))
        del found[most:]
        if found:
            with self._database:
                self._database.executemany(
                    "UPDATE open_items SET state = 'claiming', is_fresh = 0 WHERE item_id = ?",
                    [(item.item_id,) for item in found],
                )
        return found

    def add_prerequisites(self, awaited: Iterable[tuple[str, str]]) -> None:
        """Write which items each waits for, as pairs of ids.

        This comes before their records are read: one that is completed from then on is marked when
        the item is held back.
        """
        with self._database:
            self._database.executemany(
                "INSERT OR IGNORE INTO prerequisites (item_id, awaited) VALUES (?, ?)", awaited
            )

    def forget_prerequisites(self, item_id: str) -> None:
        """Forget for what an item waits, and what of it is completed: its records tell."""
        with self._database:
            self._database.execute("DELETE FROM prerequisites WHERE item_id = ?", (item_id,))

    def hold_back(self, item: PendingItem, awaited: Collection[str]) -> None:
        """Put an item back that waits for others, due soon if one was completed meanwhile."""
        if self.completed_prerequisites(item.item_id) & set(awaited):
            item = item._replace(due=time.monotonic() + LOST_RACE_SECONDS)
        self.schedule([item])

    def take_held_back(self, now: float, most: int) -> list[PendingItem]:
        """Take due items in hand that a rule holds back, to be checked again."""
        found = self._due_held_back(now, most)
        with self._database:
            self._set_states((item.item_id, State.CLAIMING) for item in found)
        return found

    def set_kinds(self, kinds: Iterable[tuple[str, str]]) -> None:
        """Write the kinds of items whose records were read, by item id."""
        with self._database:
            self._database.executemany(
                "UPDATE open_items SET kind = ?2 WHERE item_id = ?1", list(kinds)
            )

    def mark_claimed(self, kinds: Iterable[tuple[str, str]]) -> None:
        """Write that this worker has claimed items, each with its kind, and works on them."""
        with self._database:
            self._database.executemany(
                "UPDATE open_items SET state = 'active', kind = ?2 WHERE item_id = ?1", list(kinds)
            )

    def set_states(self, states: Iterable[tuple[str, State]]) -> None:
        """Write the states of items in hand, by item id."""
        with self._database:
            self._set_states(states)

    def _set_states(self, states: Iterable[tuple[str, State]]) -> None:
        self._database.executemany(
            "UPDATE open_items SET state = ?2 WHERE item_id = ?1", list(states)
        )

    def record_results(self, results: Sequence[tuple[str, int, Result]]) -> None:
        """Write the results of items' attempts, which are reported next."""
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)",
                [(item_id, attempt, *result) for item_id, attempt, result in results],
            )
            self._set_states((item_id, State.REPORTING) for item_id, *_ in results)

    def record_tries(self, tries: Sequence[FailedTry]) -> None:
        """Write how many tries at items have failed; the items wait for the next one."""
        now = time.time()
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO failed_tries VALUES (?, ?, ?)",
                [(item_id, number, now + wait) for item_id, number, wait in tries],
            )
            self._database.executemany(
                "UPDATE open_items SET state = 'waiting' WHERE item_id = ? AND state = 'active'",
                [(failed.item_id,) for failed in tries],
            )

    def schedule(self, items: Iterable[PendingItem]) -> None:
        """Put items back to pending; none is due before its next try may begin.

        The tries and results of one that was settled and opened again meanwhile are removed.
        """
        self._write_or_keep(partial(self._schedule, list(items)))

    def settle(self, item_ids: Iterable[str]) -> None:
        """Remove items that are settled; one that was opened again meanwhile becomes pending."""
        self._write_or_keep(partial(self._settle, list(item_ids)))

    def flush(self) -> None:
        """Write what could not be written before."""
        while self._unwritten:
            try:
                self._unwritten[0]()
            except sqlite3.Error as error:
                self._outage.record_failure(
                    JournalUnwritable(f"the journal can't be written: {error}")
                )
                return
            del self._unwritten[0]
            self._outage.record_success()

    def _write_or_keep(self, write: Callable[[], None]) -> None:
        # If the write were dropped, the items would stay in hand for as long as this process runs.
        self._unwritten.append(write)
        self.flush()

    def _schedule(self, items: Sequence[PendingItem]) -> None:
        with self._database:
            for item in items:
                if self._database.execute(
                    "SELECT 1 FROM open_items WHERE item_id = ? AND is_settled AND is_reopened",
                    (item.item_id,),
                ).fetchone():
                    self._forget_work(item.item_id)
            self._database.executemany(statements.PUT_BACK, ((item.item_id,) for item in items))
            self._upsert(items)

    def _settle(self, item_ids: Sequence[str]) -> None:
        with self._database:
            for item_id in item_ids:
                self._forget_work(item_id)
            ids = [(item_id,) for item_id in item_ids]
            self._database.executemany(
                "DELETE FROM open_items WHERE item_id = ? AND NOT is_reopened", ids
            )
            self._database.executemany(statements.PUT_BACK, ids)

    def _upsert(self, items: Iterable[PendingItem]) -> None:
        clock = statements.clock()
        self._database.executemany(statements.UPSERT, (item._asdict() | clock for item in items))

    def _forget_work(self, item_id: str) -> None:
        for table in ("results", "failed_tries", "prerequisites"):
            self._database.execute(f"DELETE FROM {table} WHERE item_id = ?", (item_id,))  # noqa: S608

    def recover(self) -> list[PendingItem]:
        """Return what an earlier process had in hand, as in hand; make all else due.

        An item is not due before its next try may begin, and what was known of it may be stale.
        """
        with self._database:
            self._database.execute(statements.RECOVER_IN_HAND)
            self._database.execute(statements.RECOVER_PENDING, statements.clock())
        rows = self._database.execute(
            "SELECT item_id, kind, due FROM open_items WHERE state != 'pending' ORDER BY priority"
        )
        return [PendingItem(*row) for row in rows]

    def hasten(self, latest: float) -> int:
        """Make items due that are pending until after `latest`; return how many.

        An item that waits for its next try, or is held back by a rule, is left alone.
        """
        with self._database:
            values = {"due": latest} | statements.clock()
            return self._database.execute(statements.HASTEN, values).rowcount

    def record_reconciled(self, item_id: str, found: Iterable[PendingItem]) -> None:
        """Write what a step of `reconcile` found, and how far it came."""
        with self._database:
            self._upsert(found)
            self._database.execute("UPDATE reader SET swept = ?", (item_id,))
