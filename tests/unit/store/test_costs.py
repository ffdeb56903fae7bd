"""What a page costs does not grow with the rows: rows and steps are counted, not seconds."""

import json
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain, combinations
from typing import Any

import pytest

from workflow_backend.items import START, STATUSES
from workflow_backend.store import lists
from workflow_backend.store.base import ClientScope, EventFilter, ItemFilter
from workflow_backend.store.postgresql import PostgresqlStore
from workflow_backend.store.sqlite import SqliteStore

from .databases import Database
from .records import at, change, event, item

ITEMS = 6_000
LOOKED, LIMIT = 60, 10
MOST = 3 * (LOOKED + LIMIT)
"""The last row that may be looked at is found, then those rows are looked at, some are given."""

STEPS_A_ROW = 10
"""What SQLite's machine takes to look at a row."""

# The first of each is frequent, the second rare, and of the last there is none.
EQUAL: dict[str, tuple[Any, ...]] = {
    "status": (STATUSES[2], STATUSES[3], STATUSES[4]),
    "kind": ("job", "mail", "none"),
    "requester": ("a", "b", "none"),
    "worker": ("v", "w", "none"),
    "scope": tuple(ClientScope(client, ("a", "c")) for client in ("shop", "bank", "none")),
}
CLIENTS = ("shop", "bank")
type Filter = ItemFilter | EventFilter


def filters() -> Iterator[Filter]:
    ranges: tuple[dict[str, Any], ...] = (
        {},
        {"created_from": at(500), "created_before": at(5_500)},
        {"updated_from": at(500), "updated_before": at(5_500)},
        {"id_prefix": "i-1"},
        {"id_prefix": "i-", "created_from": at(5_900)},
    )
    some = chain.from_iterable(combinations(EQUAL, number) for number in range(6))
    for names in list(some):
        for which in range(3):
            # of several, one that there is none of among frequent ones too
            chosen = [which if which < 2 or name == names[-1] else 0 for name in names]
            equal: dict[str, Any] = {
                name: EQUAL[name][number] for name, number in zip(names, chosen, strict=True)
            }
            for within in ranges:
                yield ItemFilter(**equal, **within)
            equal.pop("status", None)
            yield EventFilter(**equal, name="ItemClaimed")
            yield EventFilter(**equal, **ranges[1])
            yield EventFilter(**equal, **ranges[4])


async def fill(store: SqliteStore | PostgresqlStore) -> None:
    since = START
    for first in range(1, ITEMS, 1_000):
        items, events = [], []
        for number in range(first, first + 1_000):
            rare = number % 500 == 0
            fields: dict[str, Any] = {
                name: values[rare] for name, values in EQUAL.items() if name != "scope"
            }
            fields["client"] = CLIENTS[rare]
            items.append(item(f"i-{number}", number, **fields))
            events.append(event(number, f"i-{number}", "ItemClaimed", worker=fields["worker"]))
        page = change(since, events, items)
        await store.apply(page)
        since = page.cursor.position


def counting_steps(store: SqliteStore) -> Callable[[], int]:
    """Count what SQLite's machine does from now on; returns how to ask, in rows' worth."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    store._reading.connection().set_progress_handler(step, 1)
    return lambda: steps // STEPS_A_ROW


def counting_rows(store: PostgresqlStore) -> Callable[[], int]:
    """Count the rows that PostgreSQL looks at from now on; returns how to ask."""
    rows = 0
    fetch = store._fetch

    async def counted(sql: str, *values: Any) -> Any:
        nonlocal rows
        (plan,) = await fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *values)
        rows += sum(looked_at(json.loads(plan["QUERY PLAN"])[0]["Plan"]))
        return await fetch(sql, *values)

    store._fetch = counted  # type: ignore[method-assign]
    return lambda: rows


def looked_at(plan: dict[str, Any]) -> Iterator[int]:
    if "Scan" in plan["Node Type"]:
        yield int(plan["Actual Rows"]) + plan.get("Rows Removed by Filter", 0)
    for part in plan.get("Plans", ()):
        yield from looked_at(part)


async def test_page_reads_limited_rows(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "SCAN_LIMIT", LOOKED)
    store = database.store()
    assert isinstance(store, SqliteStore | PostgresqlStore)
    await store.prepare()
    await fill(store)
    await store.counts()
    asked = counting_steps(store) if isinstance(store, SqliteStore) else counting_rows(store)
    most = 0
    for which in filters():
        cursor: str | None = None
        for _ in range(3):
            before = asked()
            listing: Callable[..., Awaitable[Any]] = (
                store.items if isinstance(which, ItemFilter) else store.events
            )
            page = await listing(which, LIMIT, cursor)
            cost = asked() - before
            assert cost <= MOST, (which, cursor, cost)
            most = max(most, cost)
            cursor = page.next_cursor
            if cursor is None:
                break
    assert most > LOOKED  # what is counted is counted
    await store.close()
