"""A snapshot of an earlier release brings a projection with the schema of its time."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
from postgres_harness import running_postgres
from toolchain_harness import Toolchain

from workflow_backend.chain.events import Cursor
from workflow_backend.items import START
from workflow_backend.operations.snapshots import projection
from workflow_backend.operations.snapshots.manifest import SQLITE
from workflow_backend.settings import Settings
from workflow_backend.store import migrations
from workflow_backend.store.base import WritableStore
from workflow_backend.store.postgresql import PostgresqlStore
from workflow_backend.store.sqlite import SqliteStore

from ...store.records import CHAIN, CONTRACT, change, event, item

EARLIER = {"sqlite": 4, "postgresql": 3}
ROW = (CHAIN, CONTRACT, json.dumps(Cursor().as_json()))
PAGE = change(START, [event(1, "a")], [item("a")])


def earlier(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as database:
        for number, script in migrations.steps("sqlite", 0):
            if number <= EARLIER["sqlite"]:
                database.executescript(script)
        database.execute("INSERT INTO projection VALUES (1, ?, ?, ?, 0)", ROW)
        database.execute(f"PRAGMA user_version = {EARLIER['sqlite']}")
        database.commit()
    return path


async def goes_on(running: WritableStore) -> None:
    """A projector whose connection is open takes the next page in."""
    assert await running.positions_without_blocks() == []
    assert await running.apply(PAGE)
    assert (await running.item("a") or {})["status"] == "submitted"


def settings(**where: str) -> Settings:
    variables = {f"XIAN_WORKFLOW_{name}": text for name, text in where.items()}
    return Settings.load({"XIAN_CHAIN_ID": CHAIN, "XIAN_WORKFLOW_CONTRACT": CONTRACT, **variables})


async def test_projector_goes_on_with_a_file_of_an_earlier_schema(tmp_path: Path) -> None:
    running = SqliteStore(tmp_path / "p.sqlite3", CHAIN, CONTRACT)
    await running.prepare()
    await running.apply(PAGE)
    made = settings(PROJECTION_PATH=str(tmp_path / "p.sqlite3"))
    earlier(tmp_path / SQLITE)
    await asyncio.to_thread(projection._load_and_swap, made, tmp_path, None)
    await goes_on(running)
    await running.close()


async def test_projector_goes_on_with_a_dump_of_an_earlier_schema(tmp_path: Path) -> None:
    programs = Path(Toolchain()["postgres_bin"])
    with running_postgres() as dsn:
        made = settings(PROJECTION_DSN=dsn)
        session = await asyncpg.connect(dsn)
        await session.execute("CREATE SCHEMA workflow_projection")
        await session.execute("SET search_path TO workflow_projection")
        await session.execute(migrations.TABLE)
        for number, script in migrations.steps("postgresql", 0):
            if number <= EARLIER["postgresql"]:
                await session.execute(script)
                await session.execute("INSERT INTO migrations VALUES ($1)", number)
        await session.execute("INSERT INTO projection VALUES (1, $1, $2, $3, 0)", *ROW)
        await session.close()
        await asyncio.to_thread(projection.copy, made, tmp_path, programs)
        running = PostgresqlStore(dsn, CHAIN, CONTRACT)
        await running.prepare()
        await running.apply(PAGE)
        await asyncio.to_thread(projection._load_and_swap, made, tmp_path, programs)
        await goes_on(running)
        await running.close()
