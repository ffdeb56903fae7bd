"""The processor as a service: its parts are put together, started and drained."""

import asyncio
import contextlib
import logging
import time

from ..chain.balance_monitor import BalanceMonitor
from ..chain.block_subscription import BlockSubscription
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

log = logging.getLogger(__name__)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Process until `stop` is set, then drain; raises WorkflowError where it can't begin."""
    with lock_wallet(settings.wallet_key(), settings.state_dir) as account:
        async with Rpc(settings.node_url) as rpc:
            node = Node(rpc, settings.contract)
            await node.require_chain(settings.chain_id)
            await _require_worker(node, account.address)
            path = settings.state_dir / "processor.sqlite3"
            with contextlib.closing(Journal(path, settings.chain_id, settings.contract)) as journal:
                await _process(settings, account, node, journal, stop)
    log.info("processor stopped")


async def _require_worker(node: Node, address: str) -> None:
    if await node.source() is None:
        raise WorkflowError(
            f"the contract {node.contract} is not on this chain",
            hint="deploy it: workflow-backend bootstrap",
        )
    if not await node.is_worker(address):
        raise WorkflowError(
            f"wallet {address} is no worker of {node.contract}",
            hint="add it: XIAN_WORKFLOW_WORKERS and workflow-backend bootstrap",
        )


async def _process(
    settings: Settings, account: Account, node: Node, journal: Journal, stop: asyncio.Event
) -> None:
    subscription = BlockSubscription(node.rpc)
    heartbeat = Heartbeat(settings.state_dir, "processor")
    watchdog = heartbeat.watch("the submitter")
    submitter = Submitter(node, subscription, account, settings.chain_id, watchdog)
    balance_monitor = BalanceMonitor(node, submitter)
    wake = asyncio.Event()
    handlers = HandlerClient(settings.handlers_socket, wake)
    log.info("processing %s on %s", settings.contract, settings.chain_id)
    async with (
        subscription.running(),
        heartbeat.beating(),
        submitter.running(),
        handlers.running(),
        balance_monitor.running(),
        asyncio.TaskGroup() as tasks,
    ):
        processor = Processor(
            node,
            subscription,
            submitter,
            journal,
            handlers,
            tasks=tasks,
            wake=wake,
            scope=f"{settings.chain_id}/{settings.contract}",
            lease_seconds=settings.lease_seconds,
        )
        loops = _start_loops(processor, heartbeat, tasks)
        while not stop.is_set():
            heartbeat.status = processor.status() | {"warning": balance_monitor.warning}
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)
        await _stop(processor, loops, settings.drain_seconds)


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
    # If the node is away, claims may not be answered in time: the next start looks at their items.
    await asyncio.wait(loops[:1], timeout=drain_seconds)
    # It must not start a job any more: nothing would end one that begins after the draining.
    loops[0].cancel()
    await processor.drain(max(0.0, deadline - time.monotonic()))
    for loop in loops:
        loop.cancel()
