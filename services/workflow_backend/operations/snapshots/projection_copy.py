"""Checks the copy of a projection in a snapshot before it is used.

The file is another host's, whoever opens it: a view in it may be endless, and so may a statement
over what its tables hold.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ...errors import RecoveryRefused
from ...store import migrations
from .manifest import Manifest

POSITION = "SELECT chain_id, contract, height FROM projection"
REBUILD = "skip it: workflow-backend projection rebuild builds one from the chain"

SECONDS = 300.0
"""Time limit of everything that is asked of one file: a check reads all of it."""

VALUE_BYTES = 64 << 20
"""Bytes of a value at most."""

_STEPS = 100_000  # SQLite instructions between two checks of the time limit, about 5 ms
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: VALUE_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1 << 20,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_TRIGGERS = "SELECT type, name FROM sqlite_schema WHERE type NOT IN ('table', 'index', 'view')"
_RELATIONS = "SELECT type, name FROM pragma_table_list WHERE schema = 'main'"


@contextmanager
def opened(file: Path, *tables: str) -> Iterator[sqlite3.Connection]:
    """Open another host's file to read, for SECONDS; these have to be ordinary tables in it.

    Raises RecoveryRefused where they are not, where the file has views or triggers, and where
    SQLite fails or takes too long within the block.
    """
    deadline = time.monotonic() + SECONDS
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as database:
            database.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            for limit, most in _LIMITS.items():
                database.setlimit(limit, most)
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA cell_size_check = ON")
            _require_tables(file, database, tables)
            yield database
    except (sqlite3.Error, OverflowError, TypeError) as error:
        late = time.monotonic() > deadline
        reason = f"it takes more than {SECONDS:.0f} s" if late else str(error)
        raise _no_projection(file, reason) from error


def _require_tables(file: Path, database: sqlite3.Connection, tables: tuple[str, ...]) -> None:
    """Refuse views, triggers and virtual tables, which a projection has none of."""
    names = set()
    for kind, name in (*database.execute(_TRIGGERS), *database.execute(_RELATIONS)):
        if kind != "table":
            raise _no_projection(file, f"it has a {kind}, {name!r:.100}")
        names.add(name)
    for table in tables:
        if table not in names:
            raise _no_projection(file, f"{table} is not one of its tables")


def _no_projection(file: Path, reason: str) -> RecoveryRefused:
    return RecoveryRefused(f"{file} is not a projection: {reason}", hint=REBUILD)


def check(file: Path, manifest: Manifest) -> None:
    """Raise RecoveryRefused where a copy in a file is not whole, or not what the manifest says."""
    with opened(file, "projection") as database:
        (result,) = database.execute("PRAGMA quick_check(1)").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        found = database.execute(POSITION).fetchone()
    if result != "ok":
        raise RecoveryRefused(f"{file} is damaged: {result}", hint=REBUILD)
    migrations.refuse_newer(str(file), version, migrations.newest("sqlite"))
    part = manifest.projection
    expected = (manifest.chain_id, part and part.contract, part and part.height)
    if found != expected:
        raise RecoveryRefused(
            f"{file} is the projection of {found!s:.300}, the manifest says {expected}",
            hint=REBUILD,
        )


def count_items(file: Path) -> int:
    """Return how many items a copy has; raises RecoveryRefused as `opened`."""
    with opened(file, "items") as database:
        (items,) = database.execute("SELECT count(*) FROM items").fetchone()
    return int(items)
