"""The submitter on a real node: every action has its effect once, whatever the line does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager

import pytest
import pytest_asyncio
from node_harness import Node
from processes import wait_until
from xian_py import Wallet, XianAsync

from workflow_backend.chain import contract
from workflow_backend.chain.balance_monitor import BalanceMonitor
from workflow_backend.chain.block_subscription import BlockSubscription
from workflow_backend.chain.node import Node as Reader
from workflow_backend.chain.rpc import Rpc
from workflow_backend.chain.submitter import Submitter
from workflow_backend.chain.wallet import Account
from workflow_backend.errors import TransactionFailed, WorkflowError
from workflow_backend.items import Outcome

from .proxy import FORWARD, LOSE_ANSWER, LOSE_REQUEST, BadLine
from .stack import deploy, eventually

CONTRACT = "con_submitter"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployed(node: Node) -> Node:
    await deploy(node, CONTRACT, [])
    return node


@contextlib.asynccontextmanager
async def submitting(
    node: Node, url: str = "", key: str = "", name: str = CONTRACT
) -> AsyncIterator[tuple[Submitter, Reader]]:
    account = Account(key or Wallet().private_key)
    async with Rpc(url or node.url) as rpc:
        subscription, reader = BlockSubscription(rpc), Reader(rpc, name)
        submitter = Submitter(reader, subscription, account, node.chain_id)
        async with subscription.running(), submitter.running():
            yield submitter, reader


async def submit(submitter: Submitter, prefix: str, number: int) -> list[Outcome]:
    async with asyncio.timeout(60):
        return await asyncio.gather(
            *(
                submitter.submit(contract.submit(f"{prefix}-{n}", f"uri:{n}", "job", ""))
                for n in range(number)
            )
        )


async def submitted_events(node: Node, prefix: str) -> list[str]:
    """The items of a test that the chain reported as submitted, in order, doubles and all."""
    wait_until(node.index_level, 30, "a level index")
    async with Rpc(node.url) as rpc:
        events = await Reader(rpc, CONTRACT).events("ItemSubmitted", 0, 1000)
    ids = [str(event.item_id) for event in events]
    return [item_id for item_id in ids if item_id.startswith(f"{prefix}-")]


async def test_submitter_batches_waiting_actions(deployed: Node) -> None:
    async with submitting(deployed) as (submitter, _):
        await submit(submitter, "first", 1)
        outcomes = await submit(submitter, "many", 150)
    assert all(outcome.ok for outcome in outcomes)
    assert len({outcome.tx_hash for outcome in outcomes}) <= 2


@pytest.mark.parametrize("fate", [LOSE_ANSWER, LOSE_REQUEST])
async def test_submitter_survives_broken_connection(deployed: Node, fate: str) -> None:
    prefix = fate.replace(" ", "-")
    line = BadLine(lambda number: fate if number % 2 == 0 else FORWARD)
    async with line.to(deployed.url), submitting(deployed, line.url) as (submitter, _):
        outcomes = await submit(submitter, prefix, 30)
    assert all(outcome.ok for outcome in outcomes)
    # What may have arrived is looked for before it is sent again, and then as the same bytes.
    assert len(set(line.broadcasts)) == len({outcome.tx_hash for outcome in outcomes})
    assert sorted(await submitted_events(deployed, prefix)) == sorted(
        f"{prefix}-{n}" for n in range(30)
    )


async def test_submitter_survives_foreign_transaction(deployed: Node) -> None:
    key = Wallet().private_key
    async with submitting(deployed, key=key) as (submitter, _):
        assert (await submit(submitter, "before", 1))[0].ok
        wallet = Wallet(key)
        async with XianAsync(deployed.url, chain_id=deployed.chain_id, wallet=wallet) as other:
            sent = await other.send_tx(
                CONTRACT, "add_agent", {"account": "0a" * 32}, mode="checktx", wait_for_tx=True
            )
            assert sent.finalized
        assert all(outcome.ok for outcome in await submit(submitter, "after", 5))


async def test_submitter_settles_each_entry(deployed: Node) -> None:
    async with submitting(deployed) as (submitter, reader):
        bad = contract.Action({"action": "submit", "item_id": "a.b", "payload_uri": "x"}, 500)
        good, refused, again = await asyncio.gather(
            submitter.submit(contract.submit("own-1", "uri:1", "job", "")),
            submitter.submit(bad),
            submitter.submit(contract.submit("own-1", "uri:2", "job", "")),
        )
        item = await reader.item("own-1")
    assert (good.code, refused.code, again.code) == ("ok", "invalid", "exists")
    assert item is not None
    assert item == good.item
    assert item.payload_uri == "uri:1"


async def test_submitter_isolates_refused_entry(deployed: Node) -> None:
    # The SDK signs no transaction with a fraction in it.
    bad = contract.Action({"action": "submit", "item_id": "alone-x", "payload_uri": 0.5}, 500)
    async with submitting(deployed) as (submitter, _):
        results = await asyncio.gather(
            *(submitter.submit(contract.submit(f"alone-{n}", "u", "job", "")) for n in range(4)),
            submitter.submit(bad),
            return_exceptions=True,
        )
    assert [isinstance(result, Outcome) and result.ok for result in results[:4]] == [True] * 4
    assert isinstance(results[4], WorkflowError)


async def test_submitter_splits_large_items(deployed: Node) -> None:
    async with submitting(deployed) as (submitter, _), asyncio.timeout(60):
        outcomes = await asyncio.gather(
            *(
                submitter.submit(contract.submit(f"{n:0128}", "u" * 1024, "k" * 64, "m" * 1024))
                for n in range(120)
            )
        )
    assert all(outcome.ok for outcome in outcomes)


async def test_submitter_survives_killed_node(
    make_node: Callable[..., AbstractContextManager[Node]],
) -> None:
    with make_node("killed-1") as node:
        await deploy(node, CONTRACT, [])
        async with submitting(node) as (submitter, _):
            pending_actions = [
                submitter.enqueue(contract.submit(f"kill-{n}", "u", "job", "")) for n in range(400)
            ]

            async def sent() -> bool:
                return pending_actions[0].tx_hash is not None

            await eventually(sent, "the first transaction")
            node.kill("abci")
            node.kill("cometbft")
            node.start("abci", "cometbft")
            async with asyncio.timeout(90):
                results = await asyncio.gather(
                    *(pending_action.outcome() for pending_action in pending_actions),
                    return_exceptions=True,
                )
        done = {f"kill-{n}" for n, result in enumerate(results) if isinstance(result, Outcome)}
        submitted = await submitted_events(node, "kill")
        assert done
        assert done == set(submitted)
        assert len(submitted) == len(set(submitted))


async def test_submitter_names_missing_funds(
    make_node: Callable[..., AbstractContextManager[Node]],
) -> None:
    with make_node("paid-1", fee_mode="paid_metered") as node:
        await deploy(node, CONTRACT, [])
        async with submitting(node) as (submitter, _):
            with pytest.raises(TransactionFailed, match=r"balance|chi"):
                await submit(submitter, "poor", 1)
        async with submitting(node, key=node.operator_key) as (submitter, _):
            assert all(outcome.ok for outcome in await submit(submitter, "rich", 20))


async def test_balance_monitor_warns_before_wallet_is_empty(
    make_node: Callable[..., AbstractContextManager[Node]],
) -> None:
    with make_node("paid-2", fee_mode="paid_metered") as node:
        await deploy(node, CONTRACT, [])
        wallet = Wallet()

        def fill(amount: int) -> None:
            to = {"to": wallet.public_key, "amount": amount}
            assert node.broadcast("currency", "transfer", to)["status"] == 0

        fill(4_000)
        async with submitting(node, key=wallet.private_key) as (submitter, reader):
            monitor = BalanceMonitor(reader, submitter)
            await monitor.check()
            assert (monitor.balance, monitor.warning) == (4_000, "")
            number = 0
            while not monitor.warning:
                assert (await submit(submitter, f"low-{number}", 1))[0].ok
                await monitor.check()
                number += 1
            assert monitor.warning.startswith(f"wallet {wallet.public_key} runs low: ")
            # There is enough for some more, and then enough again.
            assert (await submit(submitter, "some", 3))[2].ok
            fill(1_000_000)
            await monitor.check()
            assert monitor.warning == ""


async def test_no_warning_without_fees(deployed: Node) -> None:
    async with submitting(deployed) as (submitter, reader):
        monitor = BalanceMonitor(reader, submitter)
        for number in range(3):
            await monitor.check()
            assert (await submit(submitter, f"free-{number}", 1))[0].ok
        await monitor.check()
        assert (monitor.balance, monitor.warning) == (0, "")
