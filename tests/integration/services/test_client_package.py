"""The client's package and its examples on a real backend."""

import asyncio
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

from workflow_backend_client import AsyncClient, Client

from .stack import Stack

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


async def example(stack: Stack, name: str, *arguments: str) -> str:
    """Run an example against the API of a stack; what it prints."""
    environment = {**os.environ, "XIAN_WORKFLOW_API_URL": stack.url}
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


async def test_examples_do_what_they_say(running: Stack) -> None:
    assert "completed: https://example.org/work" in await example(running, "submit.py", "example-1")
    assert "5 of 5 are settled" in await example(running, "batch.py", "examples", "5")
    lines = (await example(running, "errors.py")).splitlines()
    assert lines[0].startswith("422: {'item_id': ")
    assert lines[1].startswith("404: ")
    assert lines[2] == "item nobody-handles-this is still submitted after 1 s"
    assert lines[3].startswith("no answer from the API at http://127.0.0.1:9: ")


async def test_client_streams_what_it_lists(running: Stack) -> None:
    async with AsyncClient(running.url) as client:
        await client.submit("streamed-1", "urn:test")
        await client.wait("streamed-1")
        listed = [event async for event in client.iterate_events(limit=2)][::-1]
        streamed = []
        async for one in client.stream("0"):
            streamed.append(one.event)
            if len(streamed) == len(listed):
                break
    assert [event["event_id"] for event in streamed] == [event["event_id"] for event in listed]


async def test_blocking_client_does_the_same(running: Stack) -> None:
    def use() -> None:
        with Client(running.url) as client:
            assert client.submit("blocking-1", "urn:test")["finalized"]
            assert client.submit("blocking-1", "urn:test")["finalized"]  # the same request again
            assert client.wait("blocking-1")["result_uri"] == "urn:test"
            assert client.get("blocking-1")["item"]["status"] == "completed"
            assert client.summary()["completed_count"] >= 1
            assert client.health()["status"] == "ok"
            first = next(iter(client.stream("0")))
            assert list(islice(client.stream(first.cursor), 2))

    await asyncio.to_thread(use)
