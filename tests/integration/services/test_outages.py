"""A node that goes away under busy services: what they log stays readable, and all goes on."""

import asyncio
import json
from pathlib import Path

from node_harness import Node

from .proxy import BadLine
from .stack import eventually, fresh_stack

SERVICES = ("api", "projector", "processor")
HANDLERS = """
[job]
handler = "command"
argv = ["sleep", "12"]
concurrency = 30
"""


async def test_services_log_node_outage_in_few_lines(node: Node, tmp_path: Path) -> None:
    line = BadLine()
    ids = [f"i-{number}" for number in range(30)]
    async with fresh_stack(node, tmp_path) as stack:
        stack.handlers = HANDLERS
        stack.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "10"
        async with line.to(node.url):
            stack.node_url = line.url
            stack.start("handlers", *SERVICES)
            await stack.ready()
            assert set((await stack.submit_many(ids, 30)).values()) == {201}

            async def held() -> bool:
                return len((await stack.get("/items?status=processing"))["items"]) == len(ids)

            await eventually(held, "all items with their handlers")
            before = {service: len(stack.log(service).splitlines()) for service in SERVICES}
        for _ in range(10):  # so long that each lease is to be renewed
            answers = [await stack.request("GET", f"/items/{item_id}") for item_id in ids]
            assert {status for status, _, _ in answers} == {503}
            await asyncio.sleep(0.5)
        async with line.to(node.url):
            await stack.all_completed(ids)

            async def all_well() -> bool:
                await stack.get(f"/items/{ids[0]}")
                return all(f"{line.url} answers again" in stack.log(each) for each in SERVICES)

            await eventually(all_well, "the end of the outage in every log")
        for service in SERVICES:
            entries = [json.loads(text) for text in stack.log(service).splitlines()]
            bad = [e["message"] for e in entries[before[service] :] if e["level"] != "info"]
            assert 1 <= len(bad) <= 3, bad
            assert any(line.url in message for message in bad), bad
