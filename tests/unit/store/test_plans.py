"""Every list scans an index in its order: no table is scanned, nothing is sorted."""

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from workflow_backend.store import lists
from workflow_backend.store.base import ClientScope, EventFilter, ItemFilter
from workflow_backend.store.postgresql import LIVE
from workflow_backend.store.sqlite import SqliteStore

from .databases import Postgresql
from .records import CHAIN, CONTRACT, at

PLACE = 5_000 << 32
WITHIN = (PLACE // 2, PLACE * 2)
VALUES: dict[str, Any] = {
    "status": "failed",
    "kind": "job-3",
    "requester": "r-3",
    "worker": "w-3",
    "item_id": "item-77",
    "name": "ItemClaimed",
    "scope": ClientScope("c-3", ("r-3", "r-4")),
}


def subsets(names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for some in chain.from_iterable(combinations(names, n) for n in range(len(names) + 1)):
        yield {name: VALUES[name] for name in some}


def scans() -> Iterator[lists.IndexScan]:
    """Every combination of filters, each from its beginning and behind a cursor."""
    cursors: dict[str, list[Any]] = {
        "place": ["items.place", PLACE],
        "changed": ["items.last_place", PLACE],
        "id": ["items.item_id", "item-5"],
    }
    always = (None, None)
    for equal in subsets(("status", "kind", "requester", "worker", "scope")):
        for created in (always, WITHIN):
            for order, which in (
                ("place", ItemFilter(**equal)),
                ("changed", ItemFilter(**equal, updated_from=at(9), updated_before=at(9_999))),
                ("id", ItemFilter(**equal, id_prefix="item-1")),
            ):
                changed = WITHIN if order == "changed" else always
                for each in lists.split_by_requester(which):
                    yield lists.items(each, created, changed, None)
                    yield lists.items(each, created, changed, cursors[order])
    behind = ["events.place", PLACE]
    for equal in subsets(("item_id", "name", "kind", "requester", "worker", "scope")):
        for created in (always, WITHIN):
            for one in lists.split_by_requester(EventFilter(**equal)):
                yield lists.events(one, created, None)
                yield lists.events(one, created, behind)


def queries(source: lists.Source, *, planned: bool) -> Iterator[tuple[str, lists.Query]]:
    """Every statement of these lists, and what its plan is to name."""
    for scan in scans():
        index = scan.index or f"{scan.order.table}_pkey"
        last = scan.end(source)
        if last is not None:
            yield index, last
        key = tuple(
            {"place": 9, "last_place": 9, "item_id": "item-9"}[c] for c in scan.order.columns
        )
        yield index, scan.page(source, None if last is None else key, 101, planned=planned)


@pytest.mark.parametrize("name", ["item_id", "name", "kind", "requester", "worker"])
def test_event_filter_uses_an_index(name: str) -> None:
    scan = lists.events(EventFilter(**{name: VALUES[name]}), WITHIN, None)
    assert (scan.filtered, scan.index is not None) == ([], True)


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[sqlite3.Connection]:
    store = SqliteStore(tmp_path / "projection.sqlite3", CHAIN, CONTRACT)
    await store.prepare()
    await store.close()
    connection = sqlite3.connect(tmp_path / "projection.sqlite3")
    yield connection
    connection.close()


def looks_up_a_block(step: str) -> bool:
    """Tell whether it is part of what is asked for each row that is given."""
    return step.startswith("CORRELATED SCALAR SUBQUERY") or step == (
        "SEARCH blocks USING INTEGER PRIMARY KEY (rowid=?)"
    )


async def test_sqlite_scans_one_index(file: sqlite3.Connection) -> None:
    store = SqliteStore(Path("unused"), CHAIN, CONTRACT)
    seen = 0
    for index, (sql, values) in queries(store._source, planned=False):
        numbered = {str(number): value for number, value in enumerate(values, 1)}
        rows = file.execute(f"EXPLAIN QUERY PLAN {sql}", numbered).fetchall()
        rows = [row for row in rows if not looks_up_a_block(row[3])]
        assert len(rows) == 1, (sql, rows)  # one step: no sort behind it
        plan = rows[0][3]
        in_key_order = plan in {"SCAN items", "SCAN events"} and "WHERE TRUE" in sql
        indexed = "PRIMARY KEY" in plan if index.endswith("_pkey") else f" {index}" in plan
        assert in_key_order or (indexed and plan.startswith(("SEARCH", "SCAN"))), (sql, plan)
        assert "SCAN" not in plan or "WHERE TRUE" in sql, (sql, plan)
        seen += 1
    assert seen > 200


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A PostgreSQL with rows enough for a plan to matter, as its readers see it."""
    postgresql = Postgresql(dsn)
    await postgresql.empty()
    store = postgresql.store()
    await store.prepare()
    async with store._connection(store._writing) as connection:
        await connection.execute(
            """
            INSERT INTO items SELECT
                n << 32, 'item-' || n, 'r-' || n % 50, 'job-' || n % 7, 'x', '',
                (ARRAY['submitted', 'processing', 'completed', 'completed', 'failed'])[n % 5 + 1],
                'w-' || n % 9, '', '', to_char(n, '0000000'), to_char(n * 7 % 20000, '0000000'),
                1, 0, NULL, CASE n % 3 WHEN 0 THEN 'c-' || n % 11 END, (n * 7 % 20000) << 32
            FROM generate_series(1::bigint, 20000) n
            """
        )
        await connection.execute(
            """
            INSERT INTO events SELECT
                n << 32, (ARRAY['ItemSubmitted', 'ItemClaimed', 'ItemCompleted'])[n % 3 + 1],
                'item-' || n / 3, 'job-' || n % 7, 'r-' || n % 50, 'w-' || n % 9, '{}', 'AB',
                to_char(n, '0000000'), CASE n % 3 WHEN 0 THEN 'c-' || n % 11 END
            FROM generate_series(1::bigint, 60000) n
            """
        )
        await connection.execute("ANALYZE items, events")
    async with store._connection(store._reading) as connection:
        yield connection
    await store.close()


async def test_postgresql_scans_one_index(database: asyncpg.Connection) -> None:
    assert await database.fetchval("SELECT current_schema") == LIVE
    for _, (sql, values) in queries(lambda table, _: table, planned=True):
        plan = await database.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *values)
        kinds = set(node_types(json.loads(plan)[0]["Plan"]))
        assert kinds <= {"Limit", "Index Scan", "Index Only Scan", "Subquery Scan"}, (sql, kinds)


def node_types(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["Node Type"]
    for part in plan.get("Plans", ()):
        yield from node_types(part)
