"""The projection in PostgreSQL, for several API hosts: one schema of a database.

Everything in it can be read from the chain again, so a commit does not wait for the disk. After a
crash of the database whole pages are missing at the end, and the projector continues there.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg

from ..chain.events import Cursor
from ..errors import ProjectionBusy, ProjectionUnavailable, SettingError
from . import migrations
from .rows import Rows
from .sql import Decide, SqlStore

LIVE = "workflow_projection"
BESIDE = "workflow_projection_rebuild"
CONNECTIONS = 8
CONNECT_SECONDS = 5
COMMAND_SECONDS = 60

_KNOWN = (
    "SELECT item_id, status, kind, requester, client, attempt, updated_at FROM items "
    "WHERE item_id = ANY($1::text[])"
)
_VERSION = "SELECT coalesce(max(number), 0) FROM migrations"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('workflow_projection'))"


class PostgresqlStore(SqlStore):
    """A projection in one schema of a database."""

    planned = True

    def __init__(self, dsn: str, chain_id: str, contract: str, schema: str = LIVE) -> None:
        super().__init__("the projection in PostgreSQL", chain_id, contract)
        self._dsn = dsn
        self._schema = schema
        self._reading = _pool(dsn, schema, CONNECTIONS, self._check)
        self._writing = _pool(dsn, schema, 1, self._prepare)

    async def prepare(self) -> None:
        """Create the projection if there is none, and migrate its schema to this release's.

        Raises ProjectionMismatch naming both owners.
        """
        async with self._connection(self._writing):
            pass  # a connection of the writer is prepared when it is made

    @asynccontextmanager
    async def rebuilding(self) -> AsyncIterator[PostgresqlStore]:
        """Yield an empty projection in a second schema, which then replaces this one."""
        async with self._trouble(), _session(self._dsn, self._schema) as session:
            if not await session.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", BESIDE):
                raise ProjectionBusy
            if await session.fetchval("SELECT to_regclass('projection')::oid"):
                await self._check_owner(session)
            await session.execute(f"DROP SCHEMA IF EXISTS {BESIDE} CASCADE")
            fresh = PostgresqlStore(self._dsn, self._chain_id, self._contract, BESIDE)
            try:
                await fresh.prepare()
                yield fresh
                await fresh.close()
                await self._swap(session)
            finally:
                await fresh.close()
                await session.execute(f"DROP SCHEMA IF EXISTS {BESIDE} CASCADE")

    async def _swap(self, session: asyncpg.Connection) -> None:
        counts = ("counts", "client_counts", "event_counts")
        tables = ("projection", "items", "events", "blocks", *counts)
        await session.execute("ANALYZE " + ", ".join(f"{BESIDE}.{table}" for table in tables))
        async with session.transaction():
            if await session.fetchval("SELECT to_regclass('projection')::oid"):
                # Take the lock that a writer takes first, or the two may deadlock.
                await session.execute("LOCK TABLE projection IN ACCESS EXCLUSIVE MODE")
            await session.execute(f"DROP SCHEMA IF EXISTS {self._schema} CASCADE")
            await session.execute(f"ALTER SCHEMA {BESIDE} RENAME TO {self._schema}")

    async def close(self) -> None:
        """Close the connections."""
        for pool in (self._reading, self._writing):
            await (await pool).close()

    def _source(self, table: str, index: str | None) -> str:
        del index  # the planner knows its tables
        return table

    async def _fetch(self, sql: str, *values: Any) -> Rows:
        async with self._connection(self._reading) as connection:
            rows: Rows = await connection.fetch(sql, *values)
        return rows

    async def _write(self, item_ids: Sequence[str], decide: Decide) -> None:
        async with self._connection(self._writing) as connection, connection.transaction():
            (state,) = await connection.fetch("SELECT * FROM projection FOR UPDATE")
            before = await connection.fetch(_KNOWN, item_ids)
            for sql, rows in decide(state, before):
                await connection.executemany(sql, rows)

    @asynccontextmanager
    async def _connection(self, pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
        async with self._trouble(), (await pool).acquire(timeout=CONNECT_SECONDS) as connection:
            yield connection

    @asynccontextmanager
    async def _trouble(self) -> AsyncIterator[None]:
        try:
            yield
        except asyncpg.InvalidSchemaNameError, asyncpg.UndefinedTableError:
            raise ProjectionUnavailable(f"{self._name} does not exist yet") from None
        except asyncpg.DataError, asyncpg.IntegrityConstraintViolationError:
            raise  # the rows are wrong: a retry would not help
        except asyncpg.ClientConfigurationError:
            # Its text may quote the DSN, and that may hold a password.
            raise SettingError(
                "XIAN_WORKFLOW_PROJECTION_DSN is not a PostgreSQL DSN, such as "
                "postgresql://user@host/database"
            ) from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise ProjectionUnavailable(
                f"{self._name} does not answer: {str(error) or type(error).__name__}",
                hint="check that it runs and that XIAN_WORKFLOW_PROJECTION_DSN names its database",
            ) from error

    async def _check(self, connection: asyncpg.Connection) -> None:
        version, newest = await connection.fetchval(_VERSION), migrations.newest("postgresql")
        migrations.require(self._name, version, newest)
        await self._check_owner(connection)

    async def _check_owner(self, connection: asyncpg.Connection) -> None:
        for state in await connection.fetch("SELECT chain_id, contract FROM projection"):
            self._require(state)

    async def _prepare(self, connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await connection.execute(_LOCK)
            if not await connection.fetchval("SELECT to_regnamespace($1)::oid", self._schema):
                await connection.execute(f"CREATE SCHEMA {self._schema}")
            await connection.execute(migrations.TABLE)
        version = await connection.fetchval(_VERSION)
        migrations.refuse_newer(self._name, version, migrations.newest("postgresql"))
        if version:
            await self._check_owner(connection)
        while await self._migrated(connection):
            pass
        await connection.execute(
            "INSERT INTO projection (id, chain_id, contract, cursor, height, generation) "
            "VALUES (1, $1, $2, $3, 0, $4) ON CONFLICT DO NOTHING",
            self._chain_id,
            self._contract,
            json.dumps(Cursor().as_json()),
            uuid4().hex,
        )
        await connection.execute("SET synchronous_commit = off")
        await self._check_owner(connection)

    async def _migrated(self, connection: asyncpg.Connection) -> bool:
        """Apply the next migration in one transaction; return False if there is none."""
        async with connection.transaction():
            await connection.execute(_LOCK)  # another process may do the same at the same time
            version = await connection.fetchval(_VERSION)
            step = next(migrations.steps("postgresql", version), None)
            if step is None:
                return False
            number, script = step
            migrations.begin_step()
            await connection.execute(script, timeout=migrations.STEP_SECONDS)
            await connection.execute("INSERT INTO migrations VALUES ($1)", number)
        return True


def _pool(
    dsn: str,
    schema: str,
    connections: int,
    prepare: Callable[[asyncpg.Connection], Awaitable[None]],
) -> asyncpg.Pool:
    return asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=connections,
        init=prepare,
        reset=_nothing,
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings={
            "application_name": "workflow-backend",
            "search_path": schema,
            # A list scans an index in the list's order, whatever the statistics make of its rows.
            "enable_seqscan": "off",
            "enable_bitmapscan": "off",
            "enable_sort": "off",
            "random_page_cost": "1.0",
            "jit": "off",
        },
    )


@asynccontextmanager
async def _session(dsn: str, schema: str) -> AsyncIterator[asyncpg.Connection]:
    settings = {"application_name": "workflow-backend", "search_path": schema}
    session = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, server_settings=settings)
    try:
        yield session
    finally:
        await session.close()


async def _nothing(_: asyncpg.Connection) -> None:
    """Skip the reset of a connection: nothing here changes a session."""
