"""A snapshot of an earlier release brings a projection with the schema of its time."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from workflow_backend.chain.events import Cursor
from workflow_backend.items import START
from workflow_backend.operations.snapshots import projection
from workflow_backend.settings import Settings
from workflow_backend.store import migrations
from workflow_backend.store.sqlite import SqliteStore

from ..store.records import CHAIN, CONTRACT, change, event, item

EARLIER = 4


def earlier(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as database:
        for number, script in migrations.steps("sqlite", 0):
            if number <= EARLIER:
                database.executescript(script)
        row = (CHAIN, CONTRACT, json.dumps(Cursor().as_json()))
        database.execute("INSERT INTO projection VALUES (1, ?, ?, ?, 0)", row)
        database.execute(f"PRAGMA user_version = {EARLIER}")
        database.commit()
    return path


async def test_projector_goes_on_with_a_projection_of_an_earlier_schema(tmp_path: Path) -> None:
    running = SqliteStore(tmp_path / "p.sqlite3", CHAIN, CONTRACT)
    await running.prepare()
    page = change(START, [event(1, "a")], [item("a")])
    await running.apply(page)
    environment = {
        "XIAN_CHAIN_ID": CHAIN,
        "XIAN_WORKFLOW_CONTRACT": CONTRACT,
        "XIAN_WORKFLOW_PROJECTION_PATH": str(tmp_path / "p.sqlite3"),
    }
    file = earlier(tmp_path / "snapshot.sqlite3")
    await projection._take_over(Settings.load(environment), file)
    assert await running.without_blocks() == []
    assert await running.apply(page)
    assert (await running.item("a") or {})["status"] == "submitted"
    await running.close()
