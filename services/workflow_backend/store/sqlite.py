"""The projection in SQLite: one writer, any number of readers, in WAL mode.

Reads take microseconds and never wait, so they run in the event loop; writes run in a thread.
"""

import asyncio
import fcntl
import json
import os
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..chain.events import Cursor
from ..errors import ProjectionBusy, ProjectionUnavailable
from . import files, migrations
from .connection import Database, connect
from .sql import Decide, SqlStore

WAL_BYTES = 16 * 1024 * 1024
"""Size to which a write-ahead log shrinks after a large page or a slow reader made it grow."""

_KNOWN = """
SELECT item_id, status, kind, requester, client, attempt, updated_at FROM items
WHERE item_id IN (SELECT value FROM json_each(?1))
"""


class SqliteStore(SqlStore):
    """A projection in one file."""

    planned = False

    def __init__(self, path: Path, chain_id: str, contract: str) -> None:
        super().__init__(str(path), chain_id, contract)
        self._path = path
        self._reading = Database(path, self._check)
        self._writing = Database(path, self._prepare, create=True)
        # A connection has one transaction at a time, but several tasks write through it.
        self._one_at_a_time = threading.Lock()

    async def prepare(self) -> None:
        """Create the projection if there is none, and migrate its schema to this release's.

        Raises ProjectionMismatch naming both owners.
        """
        await asyncio.to_thread(self._writing.connection)

    @asynccontextmanager
    async def rebuilding(self) -> AsyncIterator[SqliteStore]:
        """Yield an empty projection in a file beside this one, which is then copied over it.

        The copy is one transaction of this file: to rename one file over another is not safe while
        it is open in WAL mode.
        """
        beside = self._path.with_name(f"{self._path.name}.rebuild")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(beside.with_name(f"{beside.name}.lock")):
            await asyncio.to_thread(self._require_own)
            _remove(beside)
            fresh = SqliteStore(beside, self._chain_id, self._contract)
            try:
                await fresh.prepare()
                yield fresh
                await fresh.close()
                await asyncio.to_thread(self._copy, beside)
            finally:
                await fresh.close()
                _remove(beside)

    def _require_own(self) -> None:
        """Raise ProjectionMismatch rather than overwrite a foreign projection."""
        if not self._path.exists():
            return
        with _trouble(f"{self._path} can't be read"), closing(connect(self._path)) as database:
            if _version(database):
                self._check_owner(database)

    async def take_over(self, other: Path) -> None:
        """Put a copy of another projection in the place of this one, at once and for everybody.

        Readers go on, and a writer is told ProjectionMoved. Raises ProjectionMismatch where this
        one is another chain's or contract's.
        """
        await asyncio.to_thread(self._require_own)
        await asyncio.to_thread(self._copy, other)

    async def copy_to(self, other: Path) -> None:
        """Write a copy of one moment to another file; readers and the writer go on."""
        await self.progress()  # the right one, and there
        await asyncio.to_thread(self._copy_to, other)

    def _copy_to(self, other: Path) -> None:
        with (
            _trouble(f"{self._path} can't be copied"),
            closing(connect(self._path)) as source,
            closing(connect(other, create=True)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # a copy is one file

    def _copy(self, beside: Path) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with (
            _trouble(f"{self._path} can't be written"),
            closing(connect(beside)) as source,
            closing(connect(self._path, create=True)) as target,
        ):
            target.execute("PRAGMA journal_mode = WAL")
            source.backup(target)
            target.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def close(self) -> None:
        """Close the connections."""
        self._reading.close()
        self._writing.close()

    def _source(self, table: str, index: str | None) -> str:
        return f"{table} NOT INDEXED" if index is None else f"{table} INDEXED BY {index}"

    async def _fetch(self, sql: str, *values: Any) -> Sequence[Mapping[str, Any]]:
        try:
            rows: list[Mapping[str, Any]] = (
                self._reading.connection().execute(_numbered(sql), values).fetchall()
            )
        except sqlite3.DatabaseError as error:
            raise ProjectionUnavailable(f"{self._name} can't be read: {error}") from error
        return rows

    async def _write(self, item_ids: Sequence[str], decide: Decide) -> None:
        writing = asyncio.ensure_future(asyncio.to_thread(self._write_now, item_ids, decide))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing})  # a thread can't be cancelled: its file must stay open
            raise

    def _write_now(self, item_ids: Sequence[str], decide: Decide) -> None:
        with self._one_at_a_time:
            self._write_alone(item_ids, decide)

    def _write_alone(self, item_ids: Sequence[str], decide: Decide) -> None:
        try:
            database = self._writing.connection()
            database.execute("BEGIN IMMEDIATE")
            try:
                (state,) = database.execute("SELECT * FROM projection")
                before = database.execute(_KNOWN, (json.dumps(item_ids),)).fetchall()
                for sql, rows in decide(state, before):
                    database.executemany(_numbered(sql), rows)
                database.execute("COMMIT")
            finally:
                if database.in_transaction:
                    database.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            raise ProjectionUnavailable(
                f"{self._name} can't be written: {error}",
                hint="is there room on the disk, and may this account write there?",
            ) from error

    def _check(self, database: sqlite3.Connection) -> None:
        migrations.require(self._name, _version(database), migrations.newest("sqlite"))
        self._check_owner(database)

    def _check_owner(self, database: sqlite3.Connection) -> None:
        for state in database.execute("SELECT chain_id, contract FROM projection"):
            self._require(state)

    def _prepare(self, database: sqlite3.Connection) -> None:
        migrations.refuse_newer(self._name, _version(database), migrations.newest("sqlite"))
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        if _version(database):
            self._check_owner(database)
        _migrate(database)
        database.execute(
            "INSERT INTO projection (id, chain_id, contract, cursor, height, generation) "
            "VALUES (1, ?, ?, ?, 0, ?) ON CONFLICT DO NOTHING",
            (self._chain_id, self._contract, json.dumps(Cursor().as_json()), uuid4().hex),
        )
        self._check_owner(database)


@contextmanager
def _trouble(what: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.DatabaseError, OSError) as error:
        raise ProjectionUnavailable(
            f"{what}: {error}", hint="check that the disk has room; a damaged file can be removed"
        ) from error


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    files.make(lock)
    with _trouble(f"{lock} is not a regular file"):
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ProjectionUnavailable(f"{lock} is not a regular file", hint="see who made it")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ProjectionBusy from None
        yield
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _numbered(sql: str) -> str:
    return sql.replace("$", "?")  # SQLite's way to number values; there is no other $


def _version(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def _migrate(database: sqlite3.Connection) -> None:
    """Migrate the schema to the newest version, each step in one transaction; readers go on."""
    while True:
        database.execute("BEGIN IMMEDIATE")  # another process may do the same at the same time
        try:
            step = next(migrations.steps("sqlite", _version(database)), None)
            if step is None:
                return
            number, script = step
            migrations.begin_step()
            database.executescript(script)
            database.execute(f"PRAGMA user_version = {number}")
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
