"""Times on a chain that makes no empty blocks: those of the blocks, whoever tells them."""

import asyncio
import json
import signal
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from workflow_backend.times import rfc3339

from .stack import Stack, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDLE_SECONDS = 2.0
METRIC = 'xian_workflow_block_time_seconds{of="projection"}'


async def test_times_are_times_of_blocks(api: Stack) -> None:
    await api.request("POST", "/items", {"item_id": "before", "payload_uri": "uri:x"})
    await asyncio.sleep(IDLE_SECONDS)  # nothing happens on the chain: that is what is tried
    began = datetime.now(UTC)
    status, sent, _ = await api.request("POST", "/items", {"item_id": "a", "payload_uri": "uri:x"})
    ended = datetime.now(UTC)
    assert status == 201
    item = sent["item"]
    slack = timedelta(seconds=0.1)  # the commit's votes are cast a moment before it is known
    assert began - slack <= datetime.fromisoformat(item["created_at"]) <= ended + slack
    assert item["created_at"].endswith("Z")
    idle = datetime.fromisoformat(item["contract_created_at"])
    assert idle < began - timedelta(seconds=IDLE_SECONDS / 2)

    async def projected() -> dict[str, Any] | None:
        found: dict[str, Any] | None = (await api.get("/items/a"))["projection"]
        return found

    row = await eventually(projected, "the item's row")
    assert row["created_at"] == item["created_at"] == row["updated_at"]
    # Filters take what answers give.
    when = item["created_at"]
    for name in ("created_from", "updated_from"):
        path = f"/items?{urlencode({name: when})}"
        assert [each["item_id"] for each in (await api.get(path))["items"]] == ["a"]
    behind = rfc3339(datetime.fromisoformat(when) + timedelta(microseconds=1))
    for path in ("/items", "/activity/recent"):
        found = await api.get(f"{path}?{urlencode({'created_from': behind})}")
        assert found["count"] == 0
    (event,) = (await api.get("/items/a/activity"))["events"]
    assert event["created"] == when
    assert event["contract_created"] == item["contract_created_at"]
    # And so do the stream, the event worker and the metrics.
    async with aiohttp.request("GET", f"{api.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    (line,) = [line for line in lines if line.startswith(METRIC)]
    assert float(line.split()[1]) == pytest.approx(datetime.fromisoformat(when).timestamp())


async def test_event_stream_has_times_of_blocks(api: Stack) -> None:
    await api.request("POST", "/items", {"item_id": "worker", "payload_uri": "uri:x"})
    item = (await api.get("/items/worker"))["item"]
    process = await asyncio.create_subprocess_exec(
        api.command,
        "events",
        env=api.environment("events"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    event: dict[str, Any] = {}
    while event.get("item_id") != "worker":
        event = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == 0
    assert event["created"] == item["created_at"]
    assert event["contract_created"] == item["contract_created_at"]
    saved = json.loads((api.path / "events" / "events.cursor.json").read_text())
    assert (saved["chain_id"], saved["contract"]) == (api.chain_id, api.contract)
    assert len(saved["hash"]) == 64
