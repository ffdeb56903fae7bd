"""A schema of a PostgreSQL database: into a file, and from a file into the place of the old one.

PostgreSQL's own programs write and read the file; `dump_rows` has what is taken of it. The DSN may
hold a password, so they get it by their environment.
"""

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote

import asyncpg

from ...errors import RecoveryRefused, SettingError, WorkflowError
from ..dsn import Dsn
from . import dump_rows
from .dump_rows import Rows, SequenceValue

CONNECT_SECONDS = 10
_STDERR_BYTES = 1 << 16
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "database": "PGDATABASE",
    "passfile": "PGPASSFILE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}


class DatabaseFailed(WorkflowError):
    """The database or one of its programs failed."""

    hint = "check that PostgreSQL runs, and its log"


def environment(dsn: str, name: str) -> dict[str, str]:
    """Return what PostgreSQL's programs need to reach a database.

    Raises SettingError naming the setting `name`, and never what is in it.
    """
    parts = Dsn.parse(dsn)
    if parts is None or not parts.is_address or len(parts.servers) > 1:
        raise SettingError(
            f"{name} is not a PostgreSQL DSN, such as postgresql://user@host/database"
        )
    if unknown := next((key for key in parts.options if key not in _VARIABLES), None):
        raise SettingError(f"{name} has the parameter {unknown!r}, which is not known here")
    given = {
        "host": parts.host,
        "port": str(parts.port or ""),
        "user": parts.user,
        "password": parts.password,
        "dbname": unquote(parts.database),
        **parts.options,
    }
    return {_VARIABLES[key]: value for key, value in given.items() if value}


def check(dump: Path, programs: Path) -> None:
    """Read a dump to its end; raises RecoveryRefused where that is not possible."""
    with _restoring(programs, dump) as (_, _, require_whole):
        require_whole()


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that is loaded: its tables are made by these statements, run within it.

    The SQL condition has to hold once its rows are there, and `compare` raises where they are not
    what else they are held against.
    """

    name: str
    statements: Sequence[str]
    condition: str = "true"
    compare: Callable[[asyncpg.Connection], Awaitable[object]] | None = None


class Database:
    """A database by its DSN; `name` is the setting that gave it, `programs` are PostgreSQL's."""

    def __init__(self, dsn: str, name: str, programs: Path) -> None:
        self._dsn = dsn
        self._environment = environment(dsn, name)
        self._programs = programs

    def ask[T](self, question: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Return what a question finds out; raises DatabaseFailed."""

        async def run() -> T:
            connection = await self._connect()
            try:
                return await question(connection)
            finally:
                await connection.close()

        return self._trouble(run)

    def dump[T](
        self, schema: str, target: Path, question: Callable[[asyncpg.Connection], Awaitable[T]]
    ) -> T:
        """Write a schema to a file; return what a question finds out of exactly what is in it."""

        async def run() -> T:
            connection = await self._connect()
            try:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
                    found = await question(connection)
                    await self._pg_dump(schema, target, snapshot)
                    return found
            finally:
                await connection.close()

        return self._trouble(run)

    async def _pg_dump(self, schema: str, target: Path, snapshot: str) -> None:
        process = await asyncio.create_subprocess_exec(
            str(self._programs / "pg_dump"),
            *("--format=custom", "--no-owner", "--no-privileges", f"--schema={schema}"),
            *(f"--snapshot={snapshot}", f"--file={target}"),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **self._environment},
        )
        _, stderr = await process.communicate()
        if process.returncode != 0:
            raise DatabaseFailed(f"pg_dump fails: {_last(stderr)}")

    def load_and_swap(self, dump: Path, schema: Schema, aside: str) -> None:
        """Load a dump's rows as a schema; what has that name now is called `aside` then.

        It is one transaction: all or nothing, whenever it is cut short. Nothing of the dump is run.
        Raises RecoveryRefused for a bad dump, DatabaseFailed.
        """

        async def run() -> None:
            connection = await self._connect()
            try:
                async with connection.transaction():
                    await connection.execute("SET LOCAL lock_timeout = '10s'")
                    await self._load(connection, dump, schema, aside)
                await connection.execute(f"SET search_path = {schema.name}")
                await connection.execute("ANALYZE")
            except asyncpg.PostgresError as error:
                raise DatabaseFailed(f"{dump} can't be loaded: {error}") from error
            finally:
                await connection.close()

        self._trouble(run)

    async def _load(
        self, connection: asyncpg.Connection, dump: Path, schema: Schema, aside: str
    ) -> None:
        if await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", schema.name):
            await connection.execute(f"ALTER SCHEMA {schema.name} RENAME TO {aside}")
        else:
            await connection.execute(f"CREATE SCHEMA {aside}")
        await connection.execute(f"CREATE SCHEMA {schema.name}")
        with reading(self._programs, dump) as rows:
            await dump_rows.load(connection, schema.name, schema.statements, rows, str(dump))
        if not await connection.fetchval(f"SELECT ({schema.condition}) IS TRUE"):
            raise DatabaseFailed(f"what was loaded from {dump} is not what the manifest tells")
        if schema.compare is not None:
            await schema.compare(connection)

    def put_back(self, schema: str, aside: str) -> None:
        """Undo `load_and_swap`."""
        self.run(
            f"DROP SCHEMA IF EXISTS {schema} CASCADE", f"ALTER SCHEMA {aside} RENAME TO {schema}"
        )

    def run(self, *statements: str) -> None:
        """Run statements in one transaction."""

        async def all_of(connection: asyncpg.Connection) -> None:
            async with connection.transaction():
                for statement in statements:
                    await connection.execute(statement)

        self.ask(all_of)

    def has_schema(self, schema: str) -> bool:
        """Tell whether there is such a schema."""

        async def query(connection: asyncpg.Connection) -> bool:
            found = "SELECT to_regnamespace($1) IS NOT NULL"
            return bool(await connection.fetchval(found, schema))

        return self.ask(query)

    def size(self) -> int:
        """Return the bytes that the database takes."""

        async def query(connection: asyncpg.Connection) -> int:
            return int(await connection.fetchval("SELECT pg_database_size(current_database())"))

        return self.ask(query)

    async def _connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(self._dsn, timeout=CONNECT_SECONDS)

    def _trouble[T](self, run: Callable[[], Awaitable[T]]) -> T:
        async def guarded() -> T:
            try:
                return await run()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                reason = str(error) or type(error).__name__
                raise DatabaseFailed(f"the database does not answer: {reason}") from error

        return asyncio.run(guarded())


@contextmanager
def reading(programs: Path, dump: Path, *only: str) -> Iterator[Iterator[Rows | SequenceValue]]:
    """Give the rows of a dump, or of some of its tables; it is whole when the block ends.

    Raises RecoveryRefused where it is truncated or damaged.
    """
    tables = [f"--table={table}" for table in only]
    with _restoring(programs, dump, "--data-only", *tables) as (process, output, require_whole):
        try:
            yield dump_rows.read(output, str(dump))
        except RecoveryRefused:
            # What a damaged dump gives ends somewhere, and the program knows why.
            output.close()
            if process.wait() not in {0, -signal.SIGPIPE}:
                require_whole()
            raise
        require_whole()


@contextmanager
def _restoring(
    programs: Path, dump: Path, *more: str
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes], Callable[[], None]]]:
    """Give the program that writes a dump as a text, and what reads it to its end and judges it."""
    arguments = (*more, "--no-owner", "--no-privileges", "--no-comments", "--file=-", str(dump))
    with (
        tempfile.TemporaryFile() as stderr,
        subprocess.Popen(
            [str(programs / "pg_restore"), *arguments], stdout=subprocess.PIPE, stderr=stderr
        ) as process,
    ):
        if process.stdout is None:
            raise AssertionError
        output = process.stdout

        def require_whole() -> None:
            while not output.closed and output.read(1 << 20):
                pass
            if process.wait() != 0:
                stderr.seek(0)
                reason = _last(stderr.read(_STDERR_BYTES))
                raise RecoveryRefused(
                    f"{dump} is truncated or damaged: {reason}", hint="use another snapshot"
                )

        try:
            yield process, output, require_whole
        except BaseException:
            process.kill()
            raise


def _last(stderr: bytes) -> str:
    """Return the reason in what a program wrote; later lines only say where in the dump it was."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    reasons = [line for line in lines if "ERROR:" in line or "error:" in line]
    return next(iter(reasons or lines[-1:]), "it says nothing")
