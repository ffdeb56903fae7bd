"""The processor as a service: its parts are put together, started and drained."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from ..chain.balance_monitor import BalanceMonitor
from ..chain.block_subscription import BlockSubscription
from ..chain.contract_submitter import ContractSubmitter
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..chain.submitter import Submitter
from ..chain.wallet import Account, lock_wallet
from ..errors import WorkflowError
from ..heartbeat import Heartbeat
from ..settings import Settings
from .handler_client import HandlerClient
from .journal import Journal
from .processor import Processor
from .schema import owner_of
from .shared_wake import SharedWake
from .status import combined

log = logging.getLogger(__name__)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Process until `stop` is set, then drain; raises WorkflowError where it can't begin."""
    with (
        lock_wallet(settings.wallet_key(), settings.state_dir) as account,
        contextlib.ExitStack() as journals,
    ):
        async with Rpc(settings.node_url) as rpc:
            nodes = [Node(rpc, contract) for contract in settings.contracts]
            await nodes[0].require_chain(settings.chain_id)
            for node in nodes:
                await _require_deployed(node)
            # Without a right on an earlier contract it still does the items of the current one.
            await _require_worker(nodes[0], account.address)
            paths = journal_paths(settings)
            opened = {
                node: journals.enter_context(
                    contextlib.closing(
                        Journal(paths[node.contract], settings.chain_id, node.contract)
                    )
                )
                for node in nodes
            }
            await _process(settings, account, opened, stop)
    log.info("processor stopped")


async def _require_deployed(node: Node) -> None:
    if await node.source() is None:
        raise WorkflowError(
            f"the contract {node.contract} is not on this chain",
            hint="deploy it: workflow-backend bootstrap",
        )


async def _require_worker(node: Node, address: str) -> None:
    if not await node.is_worker(address):
        raise WorkflowError(
            f"wallet {address} is not a worker of {node.contract}",
            hint="add it: XIAN_WORKFLOW_WORKERS and workflow-backend bootstrap",
        )


def journal_paths(settings: Settings) -> dict[str, Path]:
    """Return the file of each contract's journal.

    An earlier release knows one file, which belongs to the first contract that was served.
    """
    first = settings.state_dir / "processor.sqlite3"
    owner = owner_of(first) or (settings.chain_id, settings.contract)
    paths = {}
    for contract in settings.contracts:
        own = settings.state_dir / f"processor-{contract}.sqlite3"
        is_taken = owner != (settings.chain_id, contract) and settings.earlier_contracts
        paths[contract] = own if is_taken or own.exists() else first
    return paths


async def _process(
    settings: Settings, account: Account, journals: Mapping[Node, Journal], stop: asyncio.Event
) -> None:
    node, *earlier = journals
    subscription = BlockSubscription(node.rpc)
    heartbeat = Heartbeat(settings.state_dir, "processor")
    watchdog = heartbeat.watch("the submitter")
    submitter = Submitter(node, subscription, account, settings.chain_id, watchdog, others=earlier)
    balance_monitor = BalanceMonitor(node, submitter)
    wakes: list[SharedWake] = []
    handlers = HandlerClient(settings.handlers_socket, SharedWake(wakes))
    log.info("processing %s on %s", " and ".join(settings.contracts), settings.chain_id)
    async with (
        subscription.running(),
        heartbeat.beating(),
        submitter.running(),
        handlers.running(),
        balance_monitor.running(),
        asyncio.TaskGroup() as tasks,
    ):
        processors = [
            Processor(
                each,
                subscription,
                ContractSubmitter(submitter, each.contract),
                journal,
                handlers,
                tasks=tasks,
                wake=SharedWake(wakes),
                scope=f"{settings.chain_id}/{each.contract}",
                lease_seconds=settings.lease_seconds,
                beside=[other for other in journals.values() if other is not journal],
            )
            for each, journal in journals.items()
        ]
        loops = [_start_loops(processor, heartbeat, tasks) for processor in processors]
        while not stop.is_set():
            heartbeat.status = combined([each.status() for each in processors]) | {
                "warning": balance_monitor.warning
            }
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)
        async with asyncio.TaskGroup() as stopping:
            for processor, own in zip(processors, loops, strict=True):
                stopping.create_task(_stop(processor, own, settings.drain_seconds))


def _start_loops(
    processor: Processor, heartbeat: Heartbeat, tasks: asyncio.TaskGroup
) -> list[asyncio.Task[None]]:
    """Start the loops of the processor, the claiming first."""
    return [
        tasks.create_task(loop(heartbeat.watch(f"the {name}")))
        for name, loop in (
            ("claiming", processor.claim),
            ("reading of events", processor.follow_events),
            ("renewal of leases", processor.renew_leases),
            ("reconciliation", processor.reconcile),
        )
    ]


async def _stop(
    processor: Processor, loops: list[asyncio.Task[None]], drain_seconds: float
) -> None:
    processor.stop_claiming()
    deadline = time.monotonic() + drain_seconds
    # If the node is down, claims may not be answered in time: the next start checks their items.
    await asyncio.wait(loops[:1], timeout=drain_seconds)
    # It must not start a job any more: nothing would end one that begins after the draining.
    loops[0].cancel()
    await processor.drain(max(0.0, deadline - time.monotonic()))
    for loop in loops:
        loop.cancel()
