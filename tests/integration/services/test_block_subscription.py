"""Block notices over the node's websocket: they wake, their loss costs a moment, they come back."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio
from node_harness import Node
from xian_py import Wallet

from workflow_backend.chain import contract
from workflow_backend.chain.block_subscription import BlockSubscription
from workflow_backend.chain.contract import ITEM_EVENTS
from workflow_backend.chain.events import Cursor, EventReader
from workflow_backend.chain.node import Node as Reader
from workflow_backend.chain.rpc import Rpc
from workflow_backend.chain.submitter import Submitter
from workflow_backend.chain.wallet import Account

from .proxy import BadLine
from .stack import Stack, deploy, eventually

CONTRACT = "con_heads"

type Submit = Callable[[], Awaitable[str]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployed(node: Node) -> Node:
    await deploy(node, CONTRACT, [])
    return node


@contextlib.asynccontextmanager
async def listening(
    node: Node, line: BadLine
) -> AsyncIterator[tuple[BlockSubscription, Reader, Submit]]:
    """Block notices over a bad line, and who submits one item after the other past it."""
    numbers = itertools.count()
    account = Account(Wallet().private_key)
    async with line.to(node.url), Rpc(line.url) as rpc, Rpc(node.url) as direct:
        submitter = Submitter(
            Reader(direct, CONTRACT), BlockSubscription(direct), account, node.chain_id
        )

        async def submit() -> str:
            item_id = f"{account.address[:16]}-{next(numbers)}"
            outcome = await submitter.submit(contract.submit(item_id, "uri:x", "job", ""))
            assert outcome.ok
            return item_id

        subscription = BlockSubscription(rpc)
        async with subscription.running(), submitter.running():
            await is_open(line)
            yield subscription, Reader(rpc, CONTRACT), submit


async def is_open(line: BadLine, sockets: int = 1) -> None:
    async def there() -> bool:
        return len(line.sockets) == sockets

    await eventually(there, f"{sockets} open websockets", 30)


async def woken(subscription: BlockSubscription, submit: Submit) -> None:
    """Wait until a block wakes whoever waits: a subscription is a moment behind its socket."""

    async def wakes() -> bool:
        waiting = asyncio.create_task(subscription.wait(5.0))
        await submit()
        return await waiting

    await eventually(wakes, "a wake-up", 30)


async def test_block_wakes_waiters(deployed: Node) -> None:
    async with listening(deployed, BadLine()) as (subscription, reader, submit):
        await woken(subscription, submit)
        assert 0 < subscription.height <= (await reader.status()).height
        assert not await subscription.wait(0.2), "nothing happened"


async def test_events_are_found_without_subscription(deployed: Node) -> None:
    line = BadLine()
    async with listening(deployed, line) as (subscription, node, submit):
        await woken(subscription, submit)
        line.cut()
        await is_open(line, 0)

        async def unknown() -> bool:
            return subscription.height == 0

        await eventually(unknown, "a height that is known no more")
        events, page = EventReader(node, ITEM_EVENTS), None
        async with asyncio.timeout(30):
            while page is None or page.more:
                page = await events.page(Cursor() if page is None else page.cursor)
            waiting = asyncio.create_task(events.wait_for_more(page, subscription))
            item_id = await submit()
            await waiting
            while item_id not in [event.item_id for event in page.events]:
                page = await events.page(page.cursor)
                await events.wait_for_more(page, subscription)
        assert subscription.height == 0, "it was found by a notice"
        line.announcing = True
        await is_open(line)
        await woken(subscription, submit)
        assert subscription.height > 0


async def test_subscription_replaces_silent_socket(deployed: Node) -> None:
    line = BadLine()
    async with listening(deployed, line) as (subscription, _, submit):
        await woken(subscription, submit)
        (silent,) = line.sockets
        line.mute()

        async def replaced() -> bool:
            return bool(line.sockets) and silent not in line.sockets

        await eventually(replaced, "another websocket", 40)
        await woken(subscription, submit)


async def test_items_complete_without_subscription(stack: Stack) -> None:
    line = BadLine()
    async with line.to(stack.node_url):
        stack.extra["XIAN_NODE_URL"] = line.url
        stack.start("projector", "handlers", "processor", "api")
        await stack.ready()
        for step in ("heard", "deaf", "heard-again"):
            if step == "deaf":
                line.cut()
            line.announcing = step != "deaf"
            await is_open(line, 0 if step == "deaf" else 3)
            ids = [f"{step}-{number}" for number in range(5)]
            statuses = await stack.submit_many(ids, in_flight=5)
            assert set(statuses.values()) == {201}
            await stack.all_completed(ids, 30)
        stack.end_all()
