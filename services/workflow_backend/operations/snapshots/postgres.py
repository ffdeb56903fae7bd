"""A schema of a PostgreSQL database: into a file, and from a file into the place of the old one.

PostgreSQL's own programs do it. The DSN may hold a password, so they get it by their environment.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg

from ...errors import RecoveryRefused, SettingError, WorkflowError

CONNECT_SECONDS = 10
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
    parts = urlsplit(dsn)
    wrong = SettingError(f"{name} is no PostgreSQL DSN, such as postgresql://user@host/database")
    if parts.scheme not in {"postgres", "postgresql"}:
        raise wrong
    try:
        given = {
            "host": parts.hostname,
            "port": str(parts.port) if parts.port else None,
            "user": parts.username,
            "password": parts.password,
            "dbname": parts.path.removeprefix("/"),
        }
    except ValueError:
        raise wrong from None
    found = {_VARIABLES[key]: unquote(value) for key, value in given.items() if value}
    for key, value in parse_qsl(parts.query):
        if key not in _VARIABLES:
            raise SettingError(f"{name} has the parameter {key!r}, which is not known here")
        found[_VARIABLES[key]] = value
    return found


def check(dump: Path, programs: Path) -> None:
    """Read a dump to its end; raises RecoveryRefused where that is not possible."""
    with _reader(programs, dump) as reader:
        while reader.stdout and reader.stdout.read(1 << 20):
            pass
        _require_read(reader, dump)


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
        _, said = await process.communicate()
        if process.returncode != 0:
            raise DatabaseFailed(f"pg_dump fails: {_last(said)}")

    def put_in_place(self, dump: Path, schema: str, aside: str, condition: str) -> None:
        """Load a dump as `schema`; what has that name now is called `aside` then.

        It is one transaction: all or nothing, whenever it is cut short. The SQL condition has to
        hold at its end. Raises RecoveryRefused for a bad dump, DatabaseFailed.
        """
        first = f"ALTER SCHEMA {schema} RENAME TO {aside}"
        if not self.has_schema(schema):
            first = f"CREATE SCHEMA {aside}"
        with _reader(self._programs, dump) as reader, self._writer() as writer:
            try:
                _say(writer, _FIRST_WORDS.format(statement=first))
                _pass_on(reader, writer)
                # Without its last words nothing stays; they come once all has been read.
                _require_read(reader, dump)
                _say(writer, _LAST_WORDS.format(condition=condition))
                _, said = writer.communicate()
            except BrokenPipeError:
                reader.kill()
                said = writer.stderr.read() if writer.stderr else b""
            except BaseException:
                writer.kill()
                raise
        if writer.returncode != 0:
            raise DatabaseFailed(f"{dump} can't be loaded: {_last(said)}")
        self.run(f"SET search_path = {schema}", "ANALYZE")

    def put_back(self, schema: str, aside: str) -> None:
        """Undo `put_in_place`."""
        self.run(
            f"DROP SCHEMA IF EXISTS {schema} CASCADE", f"ALTER SCHEMA {aside} RENAME TO {schema}"
        )

    def _writer(self) -> subprocess.Popen[bytes]:
        arguments = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-")
        return subprocess.Popen(
            [str(self._programs / "psql"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **self._environment},
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

        async def look(connection: asyncpg.Connection) -> bool:
            found = "SELECT to_regnamespace($1) IS NOT NULL"
            return bool(await connection.fetchval(found, schema))

        return self.ask(look)

    def size(self) -> int:
        """Return the bytes that the database takes."""

        async def look(connection: asyncpg.Connection) -> int:
            return int(await connection.fetchval("SELECT pg_database_size(current_database())"))

        return self.ask(look)

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


_FIRST_WORDS = """
BEGIN;
SET LOCAL lock_timeout = '10s';
{statement};
"""
_LAST_WORDS = """
DO $$ BEGIN IF ({condition}) IS NOT TRUE THEN
RAISE EXCEPTION 'what was loaded is not what the manifest tells'; END IF; END $$;
COMMIT;
"""


def _reader(programs: Path, dump: Path) -> subprocess.Popen[bytes]:
    arguments = ("--no-owner", "--no-privileges", "--no-comments", "--file=-", str(dump))
    return subprocess.Popen(
        [str(programs / "pg_restore"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _say(process: subprocess.Popen[bytes], words: str) -> None:
    if process.stdin:
        process.stdin.write(words.encode())
        process.stdin.flush()


def _pass_on(reader: subprocess.Popen[bytes], writer: subprocess.Popen[bytes]) -> None:
    if reader.stdout and writer.stdin:
        shutil.copyfileobj(reader.stdout, writer.stdin, 1 << 20)


def _require_read(reader: subprocess.Popen[bytes], dump: Path) -> None:
    _, said = reader.communicate()
    if reader.returncode != 0:
        raise RecoveryRefused(
            f"{dump} is truncated or damaged: {_last(said)}", hint="use another snapshot"
        )


def _last(said: bytes) -> str:
    """The reason among what a program said: what is behind it is where in the dump it was."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    reasons = [line for line in lines if "ERROR:" in line or "error:" in line]
    return next(iter(reasons or lines[-1:]), "it says nothing")
