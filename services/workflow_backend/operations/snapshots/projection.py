"""The projection's part of a snapshot, in whichever database it is."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from ...errors import ProjectionUnavailable, RecoveryRefused
from ...settings import Settings
from ...store import migrations, open_as_is
from ...store.base import ProjectionProgress
from ...store.postgresql import LIVE
from ...store.sqlite import SqliteStore
from . import postgres
from .dump_rows import Rows
from .locks import shared_lock
from .manifest import POSTGRESQL, SQLITE, ProjectionPart
from .postgres import Database, Schema
from .projection_copy import POSITION, REBUILD
from .verify import Verify, verified

ASIDE = "workflow_projection_before"

type Object = dict[str, Any]


def copy(settings: Settings, folder: Path, programs: Path | None) -> ProjectionPart:
    """Write a copy into a folder while everything goes on; return how far it is.

    Raises ProjectionMismatch and ProjectionUnavailable.
    """
    dsn = settings.projection_dsn()
    if dsn is None:
        return _copy_file(settings, folder / SQLITE)
    found = _database(dsn, programs).dump(LIVE, folder / POSTGRESQL, _position)
    if found is None:
        raise ProjectionUnavailable
    _require_own(found, settings)
    return ProjectionPart(height=found.height, contract=found.contract)


def progress(settings: Settings) -> ProjectionProgress | None:
    """Return how far the projection in use is; None where there is none to be used."""

    async def ask() -> ProjectionProgress | None:
        async with open_as_is(settings) as store:
            try:
                return await store.progress()
            except ProjectionUnavailable:
                return None

    return asyncio.run(ask())


class Restore(Verify):
    """A snapshot whose projection replaces the one in use; with `always` even one that has more."""

    always: bool = False


def restore(settings: Settings, request: Restore, *, check: bool) -> Object:
    """Replace the projection by the snapshot's, unless the one in use has more.

    The services may run: readers go on, and the projector goes on from there.
    """
    with shared_lock(request.snapshot):
        found = verified(request)
        part = found.manifest.projection
        if part is None or found.folder is None:
            raise RecoveryRefused("the snapshot has no projection", hint=REBUILD)
        if (request.chain_id, part.contract) != (settings.chain_id, settings.contract):
            raise RecoveryRefused(
                f"the snapshot's projection is of {part.contract} on {request.chain_id}, "
                f"not of {settings.contract} on {settings.chain_id}",
                hint=REBUILD,
            )
        now = progress(settings)
        if now is not None and now.height >= part.height and not request.always:
            return {"changed": [], "height": now.height, "restored": False}
        if not check:
            _load_and_swap(settings, found.folder, request.postgres_bin)
        return {"changed": ["projection"], "height": part.height, "restored": True}


def _load_and_swap(settings: Settings, folder: Path, programs: Path | None) -> None:
    dsn = settings.projection_dsn()
    file = folder / (SQLITE if dsn is None else POSTGRESQL)
    if not file.exists():
        raise RecoveryRefused(
            f"the snapshot has no {file.name}: its projection is in another database", hint=REBUILD
        )
    if dsn is None:
        asyncio.run(_take_over(settings, file))
        return
    database = _database(dsn, programs)
    database.run(f"DROP SCHEMA IF EXISTS {ASIDE} CASCADE")
    owner = f"SELECT (chain_id, contract) = ('{settings.chain_id}', '{settings.contract}')"
    database.load_and_swap(file, schema(file, programs, f"{owner} FROM {LIVE}.projection"), ASIDE)
    asyncio.run(_bring_up(settings))
    database.run(f"DROP SCHEMA {ASIDE} CASCADE")


def schema(dump: Path, programs: Path | None, condition: str = "true") -> Schema:
    """Return the schema of the projection in a dump, made by the steps that it has seen.

    Raises RecoveryRefused where it is of a release that this one does not know.
    """
    if programs is None:
        raise RecoveryRefused(
            "the folder of PostgreSQL's programs is not known",
            hint="set snapshots_postgres_bin to the folder of pg_dump and pg_restore",
        )
    version = 0
    try:
        with postgres.reading(programs, dump, "migrations") as parts:
            for part in parts:
                for chunk in part.chunks if isinstance(part, Rows) else ():
                    version = max(version, *(int(line) for line in chunk.split()))
    except ValueError:
        raise RecoveryRefused(f"{dump} does not tell its schema", hint=REBUILD) from None
    migrations.refuse_newer(str(dump), version, migrations.newest("postgresql"))
    made = [text for number, text in migrations.steps("postgresql", 0) if number <= version]
    return Schema(LIVE, [migrations.TABLE, *made], condition)


async def _take_over(settings: Settings, file: Path) -> None:
    async with open_as_is(settings) as store:
        if isinstance(store, SqliteStore):
            await store.take_over(file)
    await _bring_up(settings)


async def _bring_up(settings: Settings) -> None:
    """Give what an earlier release had made this one's schema: a projector that runs does not."""
    async with open_as_is(settings) as store:
        await store.prepare()


def _copy_file(settings: Settings, target: Path) -> ProjectionPart:
    async def run() -> None:
        store = SqliteStore(settings.projection_path, settings.chain_id, settings.contract)
        try:
            await store.copy_to(target)
        finally:
            await store.close()

    asyncio.run(run())
    with closing(sqlite3.connect(target)) as database:
        _, contract, height = database.execute(POSITION).fetchone()
    return ProjectionPart(height=height, contract=contract)


def _database(dsn: str, programs: Path | None) -> Database:
    if programs is None:
        raise RecoveryRefused(
            "the projection is in PostgreSQL, and the folder of its programs is not known",
            hint="set snapshots_postgres_bin to the folder of pg_dump and pg_restore",
        )
    return Database(dsn, "XIAN_WORKFLOW_PROJECTION_DSN", programs)


async def _position(connection: asyncpg.Connection) -> ProjectionProgress | None:
    if await connection.fetchval("SELECT to_regclass($1)", f"{LIVE}.projection") is None:
        return None
    row = await connection.fetchrow(f"SELECT chain_id, contract, height FROM {LIVE}.projection")  # noqa: S608
    return (
        None
        if row is None
        else ProjectionProgress(row["chain_id"], row["contract"], row["height"], None)
    )


def _require_own(found: ProjectionProgress, settings: Settings) -> None:
    if (found.chain_id, found.contract) != (settings.chain_id, settings.contract):
        raise RecoveryRefused(
            f"the projection is of {found.contract} on {found.chain_id}, "
            f"not of {settings.contract} on {settings.chain_id}"
        )
