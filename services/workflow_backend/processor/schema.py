"""The journal's tables, the states of an item in them, and opening their file.

An item has a row in the journal's `open_items` from when it is first heard of until it is settled:

    pending ──► claiming ──► active ◄──► waiting
       ▲            │          │  │         │
       │            │          │  └─► reporting ──► settled: the row is removed
       └────────────┴──────────┴─────────┴┘

- `pending`: nothing is being done; the item is checked once it is `due`.
- `claiming`: its record is being read, or its claim is being sent to the chain.
- `active`: this worker has claimed it, and its handler runs.
- `waiting`: claimed; its last try failed and the next one is not due yet, or it is being released.
- `reporting`: claimed; its result is written down, and is being sent to the chain.

In all states but `pending` the item is "in hand": only the task that has it in hand changes its
state. Events that arrive meanwhile set flags instead: `is_settled` when the item was settled,
`is_reopened` when it was submitted again or claimed by another worker, in this order. `is_fresh`
marks a pending item of which nothing was heard since its submission; it may be claimed without
reading its record. `hold` names the rule by which a pending item is not claimed yet.

Upgrades are rolled back, so an earlier release must be able to go on with what a later one wrote.
`user_version` is raised only for a change that an earlier release can't live with; it refuses such
a journal. All else is an added column, which an earlier release does not see.
"""

import contextlib
import json
import sqlite3
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Self

from ..chain.events import Cursor
from ..errors import SettingError
from ..items import Item

MIGRATIONS = (
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
    """
    CREATE TABLE failed_tries (
        item_id TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        not_before REAL NOT NULL
    );
    INSERT INTO failed_tries SELECT item_id, number, 0 FROM tries;
    DELETE FROM tries;
    """,
)

ADDED_COLUMNS = {
    "state": "TEXT NOT NULL DEFAULT 'pending'",
    "is_fresh": "INTEGER NOT NULL DEFAULT 0",
    "is_settled": "INTEGER NOT NULL DEFAULT 0",
    "is_reopened": "INTEGER NOT NULL DEFAULT 0",
    "priority": "INTEGER NOT NULL DEFAULT 5",
    "hold": "TEXT NOT NULL DEFAULT ''",
}
"""Columns of `open_items` beyond the migrations."""

ADDED_TABLES_AND_INDEXES = (
    """
    CREATE TABLE IF NOT EXISTS prerequisites (
        item_id TEXT NOT NULL,
        awaited TEXT NOT NULL,
        is_completed INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (item_id, awaited)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS prerequisites_awaited ON prerequisites (awaited)",
    "CREATE INDEX IF NOT EXISTS open_items_free ON open_items (state, hold, kind, priority, due)",
    "CREATE INDEX IF NOT EXISTS open_items_hold ON open_items (hold, due) WHERE hold != ''",
    "DROP INDEX IF EXISTS open_items_state",
)
"""`prerequisites` has the items whose completion another one waits for."""

WAL_BYTES = 16 * 1024 * 1024
"""The write-ahead log is truncated to this size after it grew beyond it."""

_PRAGMAS = (
    "locking_mode = EXCLUSIVE",
    "journal_mode = WAL",
    "synchronous = NORMAL",
)


class State(StrEnum):
    """Where an open item stands; the module's docstring explains each one."""

    PENDING = "pending"
    CLAIMING = "claiming"
    ACTIVE = "active"
    WAITING = "waiting"
    REPORTING = "reporting"


class Hold(StrEnum):
    """Why a pending item is checked apart from those that may be claimed.

    It has a time of its own, waits for others, waits for what has ended without being completed, or
    its holder was asked to stop.
    """

    NONE = ""
    EARLY = "early"
    STOPPING = "stopping"
    WAITING = "waiting"
    BLOCKED = "blocked"

    @classmethod
    def of_stop(cls, item: Item) -> Self:
        """Return the hold of an item that its holder may have been asked to stop."""
        is_stopping = item.status == "processing" and item.stop_requested_at is not None
        return cls.STOPPING if is_stopping else cls.NONE


class Result(NamedTuple):
    """What is to be reported: a result's URI when it completed, else the reason why it failed."""

    completed: bool
    text: str


class PendingItem(NamedTuple):
    """An open item, its kind ("" where unknown) and when it is due, on the monotonic clock.

    `priority` is None where it is not known: then the one that is written already stays.
    """

    item_id: str
    kind: str
    due: float
    is_fresh: bool = False
    priority: int | None = None
    hold: Hold = Hold.NONE


class FailedTry(NamedTuple):
    """The number of the failed try at an item, and the seconds until the next one may begin."""

    item_id: str
    number: int
    wait: float


def owner_of(path: Path) -> tuple[str, str] | None:
    """Return the chain and the contract of a journal, None where there is none that can be read."""
    if not path.exists():
        return None
    try:
        database = sqlite3.connect(path, timeout=1.0)
        with contextlib.closing(database):
            owner = database.execute("SELECT chain_id, contract FROM reader").fetchone()
    except sqlite3.Error:
        return None
    return None if owner is None else (str(owner[0]), str(owner[1]))


def open_database(path: Path, chain_id: str, contract: str) -> sqlite3.Connection:
    """Open or create the journal of a contract; raises SettingError where it can't be used."""
    database = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Several tasks of the event loop use it, one statement at a time, from the loop's thread.
        database = sqlite3.connect(path, timeout=1.0)
        _prepare(database, path, chain_id, contract)
    except (sqlite3.Error, OSError) as error:
        if database is not None:
            database.close()
        raise _refusal(path, error) from error
    except SettingError:
        if database is not None:
            database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, path: Path, chain_id: str, contract: str) -> None:
    for pragma in (*_PRAGMAS, f"journal_size_limit = {WAL_BYTES}"):
        database.execute(f"PRAGMA {pragma}")
    _migrate(database)
    with database:
        database.execute(
            "INSERT INTO reader (id, chain_id, contract, cursor) VALUES (1, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (chain_id, contract, json.dumps(Cursor().as_json())),
        )
    owner = database.execute("SELECT chain_id, contract FROM reader").fetchone()
    if owner != (chain_id, contract):
        raise SettingError(
            f"{path} is the journal of {owner[1]} on {owner[0]}, not {contract} on {chain_id}",
            hint="name another XIAN_WORKFLOW_STATE_DIR",
        )


def _migrate(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise SettingError(
            f"the journal is of a newer release: its schema is {version}, the newest known "
            f"here {len(MIGRATIONS)}",
            hint="go on with that release, or name another XIAN_WORKFLOW_STATE_DIR: what the "
            "chain has is found again, tries and results that were not reported are not",
        )
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        database.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")
    present = {row[1] for row in database.execute("PRAGMA table_info(open_items)")}
    for column, declaration in ADDED_COLUMNS.items():
        if column not in present:
            database.execute(f"ALTER TABLE open_items ADD COLUMN {column} {declaration}")
    for statement in ADDED_TABLES_AND_INDEXES:
        database.execute(statement)


def _refusal(path: Path, error: sqlite3.Error | OSError) -> SettingError:
    if "locked" in str(error):
        return SettingError(
            f"another processor uses the journal {path}",
            hint="each processor has a wallet and an XIAN_WORKFLOW_STATE_DIR of its own",
        )
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return SettingError(
            f"{path} is not a journal, or a damaged one: {error}",
            hint="move it away: what the chain has is found again, tries and results that were "
            "not reported are not",
        )
    return SettingError(
        f"the journal {path} can't be opened: {error}",
        hint="see whether there is room on the disk, and whether this account may write there",
    )
