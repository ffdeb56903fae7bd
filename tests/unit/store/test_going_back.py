"""An earlier release goes on with the projection of a later one, so that there is a way back."""

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from workflow_backend.items import EventPosition
from workflow_backend.store import migrations
from workflow_backend.store.base import WritableStore

from .databases import Database, Postgresql, Sqlite, everything
from .records import change, event, item

# What was there before the first release that hosts were given: nothing is older than that.
FIRST = {"sqlite": 3, "postgresql": 2}

# What a later release may do.
LATER = """
ALTER TABLE items ADD COLUMN later TEXT;
ALTER TABLE events ADD COLUMN later INTEGER NOT NULL DEFAULT 0;
ALTER TABLE projection ADD COLUMN later TEXT;
CREATE TABLE later (id INTEGER PRIMARY KEY, note TEXT NOT NULL);
CREATE INDEX items_later ON items (later);
"""


async def bring_up(database: Database) -> None:
    """Give the projection the schema of a release that is not written yet."""
    if isinstance(database, Sqlite):
        file = sqlite3.connect(database.path)
        file.executescript(f"{LATER} PRAGMA user_version = 99;")
        file.close()
    elif isinstance(database, Postgresql):
        connection = await asyncpg.connect(database.dsn)
        await connection.execute(f"SET search_path TO workflow_projection; {LATER}")
        await connection.execute("INSERT INTO migrations VALUES (99)")
        await connection.close()


async def known(store: WritableStore) -> tuple[Any, ...]:
    """All that a reader may see; what is new in a row is not for it."""
    items, events, *others = await everything(store)
    rows = [{name: row[name] for name in row if name != "later"} for row in (*items, *events)]
    return rows[: len(items)], rows[len(items) :], *others


async def test_earlier_release_uses_newer_schema(
    database: Database,
) -> None:
    running = database.store()
    await running.prepare()
    await running.apply(change(EventPosition(-1, -1, -1), [event(1, "a")], [item("a")]))
    before = await known(running)
    await bring_up(database)
    # Another host's API goes on while this one is upgraded, and so does one that went back.
    assert await known(running) == before
    back = database.store()
    await back.prepare()
    assert await known(back) == before
    await back.apply(change(EventPosition(1, 1, 2), [event(2, "b")], [item("b")]))
    assert [row["item_id"] for row in (await known(back))[0]] == ["b", "a"]
    await running.close()
    await back.close()


def statements(script: str) -> list[str]:
    """The statements of a step, each on one line."""
    bare = re.sub(r"--[^\n]*", "", script)
    return [" ".join(part.split()) for part in bare.split(";") if part.strip()]


def takes_away(script: str) -> Iterator[str]:
    """The statements that an earlier release may stumble over.

    It writes rows without what is new: a new column is empty or has a default, and nothing new is
    unique in a table that was there.
    """
    made: set[str] = set()
    for statement in statements(script):
        if table := re.match(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", statement):
            made.add(table[1])
        elif index := re.match(r"CREATE (UNIQUE )?INDEX (?:\w+ )+?ON (\w+)", statement):
            if index[1] and index[2] not in made:
                yield statement
        elif re.match(r"ALTER TABLE \w+ ADD COLUMN ", statement):
            words = statement.upper()
            if ("NOT NULL" in words and " DEFAULT " not in words) or re.search(
                r"\b(UNIQUE|PRIMARY KEY|CHECK|REFERENCES)\b", words
            ):
                yield statement
        elif table := re.match(r"(?:INSERT INTO|UPDATE) (\w+)", statement):
            # Rows of its own, or values of what is new: the latter is for the one who writes it.
            if statement.startswith("INSERT") and table[1] not in made:
                yield statement
        else:
            yield statement


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_migrations_only_add_within_a_layout(database: str) -> None:
    for number, script in migrations.steps(database, FIRST[database]):
        if number % migrations.LAYOUT:  # the first of a layout may take away
            assert list(takes_away(script)) == [], f"{database}, step {number}"


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE counts",
        "DROP INDEX items_kind",
        "ALTER TABLE items DROP COLUMN kind",
        "ALTER TABLE items RENAME COLUMN kind TO sort",
        "ALTER TABLE items RENAME TO jobs",
        "ALTER TABLE items ALTER COLUMN kind TYPE integer",
        "ALTER TABLE items ADD COLUMN later TEXT NOT NULL",
        "ALTER TABLE items ADD COLUMN later TEXT UNIQUE",
        "CREATE UNIQUE INDEX later ON items (kind)",
        "CREATE TRIGGER later AFTER INSERT ON items BEGIN SELECT 1",
        "DELETE FROM events",
        "INSERT INTO counts SELECT 1, 2",
    ],
)
def test_destructive_statement_is_found(statement: str) -> None:
    assert list(takes_away(f"CREATE TABLE t (a TEXT);\n-- why\n{statement};")) == [statement]


def test_additive_statements_are_allowed() -> None:
    own = "CREATE TABLE t (a TEXT); CREATE UNIQUE INDEX i ON t (a); INSERT INTO t SELECT 1;"
    assert list(takes_away(LATER + own)) == []
