"""Requests that wait for a settled item end with it, with the API and with their client."""

import asyncio
import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_backend.api import server
from workflow_backend.api.settlement import SettlementWaiter
from workflow_backend.items import Block, Item
from workflow_backend.settings import Settings
from workflow_backend.watchdog import LoopWatchdog

from .conftest import fake_backend
from .serving import answer, serving

ITEM = Item(
    item_id="a",
    requester="0" * 64,
    kind="job",
    payload_uri="uri:a",
    metadata_ref="",
    client="",
    status="submitted",
    worker=None,
    result_uri=None,
    failure_reason=None,
    created_at="2026-01-01 00:00:00",
    updated_at="2026-01-01 00:00:00",
    attempt=0,
    lease_seconds=0,
    contested_at=None,
)
WAIT = b"GET /items/a?wait=completed&timeout=300 HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Node:
    """A node with one item that is never settled; `looked` counts the looks of waiters."""

    def __init__(self) -> None:
        self.filtered = 0
        self.asked = asyncio.Event()

    async def item(self, _: str) -> Item:
        return ITEM

    async def items(self, ids: Sequence[str]) -> list[Item]:
        self.filtered += 1
        self.asked.set()
        return [ITEM for _ in ids]


class BlockSubscription:
    async def wait(self, _: float) -> bool:
        await asyncio.sleep(0.01)
        return True


class Store:
    async def item(self, _: str) -> None:
        return None

    async def block_at_contract_time(self, contract_time: str) -> Block:
        return Block(1, "AB", contract_time, contract_time)

    async def events(self, *_: Any) -> Any:
        return SimpleNamespace(rows=[])


def _open(node: Any, settlements: Any = None) -> Any:
    settings = Settings.load({"XIAN_CHAIN_ID": "chain-1"})
    return serving(fake_backend(settings, node=node, settlements=settlements, store=Store()))


async def test_stop_answers_waiting_requests_with_the_item(
    caplog: pytest.LogCaptureFixture,
) -> None:
    node: Any = Node()
    subscription: Any = BlockSubscription()
    async with (
        SettlementWaiter(node, subscription, LoopWatchdog("waiting")).running() as settlements,
        _open(node, settlements) as served,
    ):
        reader, writer = await served.connect()
        writer.write(WAIT)
        await node.asked.wait()
        await asyncio.wait_for(served.ended(), server.GRACE_SECONDS / 2)
        status, _, body = await answer(reader)
        assert (status, b'"submitted"' in body) == (200, True)
        writer.close()
    assert [row for row in caplog.records if row.levelno >= logging.ERROR] == []


LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("behind", [b"", LIVE, LIVE * 3, WAIT], ids=["none", "one", "more", "wait"])
async def test_wait_ends_when_its_client_disconnects(behind: bytes) -> None:
    """Also where further requests of the connection wait for its answer."""
    node: Any = Node()
    subscription: Any = BlockSubscription()
    async with (
        SettlementWaiter(node, subscription, LoopWatchdog("waiting")).running() as settlements,
        _open(node, settlements) as served,
    ):
        _, writer = await served.connect()
        writer.write(WAIT + behind)
        await node.asked.wait()
        writer.transport.abort()
        async with asyncio.timeout(20):
            while settlements._futures:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
