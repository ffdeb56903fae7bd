"""The projection on a real node: made anew, checked, led through an index that comes and goes."""

import asyncio
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from node_harness import Node
from postgres_harness import running_postgres

from .stack import Stack, change, eventually, fresh_stack, projection


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """An empty database."""
    with running_postgres() as dsn:
        yield dsn


async def complete(stack: Stack, *ids: str) -> None:
    """Submit items and wait until all three events of each are projected."""
    statuses = await stack.submit_many(list(ids), in_flight=50)
    assert set(statuses.values()) == {201}

    async def projected() -> bool:
        rows = (await stack.get(f"/activity/recent?limit={3 * len(ids)}"))["events"]
        return len([row for row in rows if row["item_id"] in ids]) == 3 * len(ids)

    await eventually(projected, f"the events of {len(ids)} items")


async def listed(stack: Stack) -> dict[str, str]:
    return {row["item_id"]: row["status"] for row in (await stack.get("/items"))["items"]}


async def test_verify_finds_and_rebuild_repairs_differences(
    stack: Stack,
) -> None:
    stack.start("projector", "handlers", "processor", "api")
    await stack.ready()
    await complete(stack, "a", "b", "c", "d")
    before = await listed(stack)
    assert (await projection(stack, "verify"))[:2] == (0, [])
    assert stack.end("projector", signal.SIGTERM) == 0  # its scrub repairs rows by itself
    change(
        stack,
        """
        UPDATE items SET status = 'failed' WHERE item_id = 'a';
        DELETE FROM items WHERE item_id = 'b';
        CREATE TEMPORARY TABLE forged AS SELECT * FROM items WHERE item_id = 'c';
        UPDATE forged SET item_id = 'z', place = place + 100;
        INSERT INTO items SELECT * FROM forged;
        DELETE FROM events WHERE item_id = 'd' AND name = 'ItemClaimed';
        """,
    )
    code, lines, _ = await projection(stack, "verify")
    assert code == 1
    items = {line["item_id"]: line for line in lines if "item_id" in line}
    assert items.keys() == {"a", "b", "z"}
    assert (items["a"]["chain"], items["a"]["projection"]) == (
        {"status": "completed"},
        {"status": "failed"},
    )
    assert (items["b"]["chain"]["item_id"], items["b"]["projection"]) == ("b", None)
    assert (items["z"]["chain"], items["z"]["projection"]["item_id"]) == (None, "z")
    assert [(line["index"], line["projection"]) for line in lines if "event" in line] == [
        ("ItemClaimed", None)
    ]
    assert [(line["counted"], line["projection"]) for line in lines if "counted" in line] == [
        (4, 3),  # items
        (12, 11),  # events
    ]
    stack.start("projector")
    code, (made,), _ = await projection(stack, "rebuild")
    assert (code, made["items"]) == (0, 4)
    assert await listed(stack) == before
    await complete(stack, "e")
    assert (await projection(stack, "verify"))[:2] == (0, [])


async def test_rebuild_needs_no_projector(stack: Stack) -> None:
    stack.start("projector", "handlers", "processor", "api")
    await stack.ready()
    await complete(stack, "a", "b")
    before = await listed(stack)
    assert stack.end("projector", signal.SIGTERM) == 0
    for path in stack.path.glob("projection.sqlite3*"):
        path.unlink()
    assert (await stack.request("GET", "/items"))[0] == 503
    assert (await projection(stack, "rebuild"))[0] == 0
    assert await listed(stack) == before
    stack.start("projector")
    await complete(stack, "c")
    assert (await projection(stack, "verify"))[:2] == (0, [])


async def test_projector_refuses_foreign_projection(stack: Stack) -> None:
    stack.start("projector", "api")
    await stack.ready()
    for action in ("rebuild", "verify"):
        code, lines, log = await projection(stack, action, XIAN_WORKFLOW_CONTRACT="con_other")
        assert (code, lines) == (1, [])
        assert stack.contract in log
        assert "con_other" in log


async def test_services_share_postgresql_projection(stack: Stack, postgresql: str) -> None:
    stack.extra["XIAN_WORKFLOW_PROJECTION_DSN"] = postgresql
    stack.start("projector", "handlers", "processor", "api")
    await stack.ready()
    await complete(stack, *(f"p-{number}" for number in range(20)))
    assert set((await listed(stack)).values()) == {"completed"}
    assert (await projection(stack, "rebuild"))[0] == 0
    await complete(stack, "p-later")
    assert len(await listed(stack)) == 21
    assert (await projection(stack, "verify"))[:2] == (0, [])
    assert not (stack.path / "projection.sqlite3").exists()


async def test_projector_follows_rebuilt_index(
    make_node: Callable[..., AbstractContextManager[Node]], tmp_path: Path
) -> None:
    with make_node("index-1") as node:
        async with fresh_stack(node, tmp_path) as stack:
            stack.start("projector", "handlers", "processor", "api")
            await stack.ready()
            await complete(stack, "a", "b")
            node.postgres("pg_dump", "--format=custom", f"--file={node.folder}/index.dump")
            await complete(stack, "c", "d")
            before = rows_of(stack)
            node.kill("cometbft")
            node.kill("abci")
            node.postgres("psql", "--command=DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            node.postgres("pg_restore", "--dbname=xian", f"{node.folder}/index.dump")
            node.postgres("psql", "--command=ALTER SEQUENCE events_id_seq RESTART WITH 100000")
            node.start("abci", "cometbft")
            await asyncio.to_thread(node.wait_ready)
            assert rows_of(stack) == before
            await complete(stack, "e", "f")
            assert (await projection(stack, "verify"))[:2] == (0, [])
            log = stack.log("projector")
            assert log.count("it was restored or is being rebuilt") <= 1
            assert log.count("no connection to the node") <= 1  # it may have been asked too late
            assert "projecting again from height" in log
            # One that begins has nothing but the old ids to find its place by.
            assert stack.end("projector", signal.SIGTERM) == 0
            node.postgres(
                "psql",
                "--command=ALTER TABLE events ALTER id DROP IDENTITY",
                "--command=UPDATE events SET id = id + 500000",
                "--command=ALTER TABLE events ALTER id ADD GENERATED ALWAYS AS IDENTITY "
                "(START WITH 900000)",
            )
            stack.start("projector")
            await complete(stack, "g", "h")
            assert (await projection(stack, "verify"))[:2] == (0, [])
            assert "the index has new ids" in stack.log("projector")


def rows_of(stack: Stack) -> list[Any]:
    database = sqlite3.connect(stack.path / "projection.sqlite3")
    tables = ("SELECT * FROM items ORDER BY 1", "SELECT * FROM events ORDER BY 1")
    rows = [database.execute(table).fetchall() for table in tables]
    database.close()
    return rows
