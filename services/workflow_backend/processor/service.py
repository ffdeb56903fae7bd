"""The processor as a service: its parts put together, started and drained."""

import asyncio
import logging
import time

from ..chain.funds import Funds
from ..chain.heads import Heads
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..chain.submitter import Submitter
from ..chain.wallet import sole_writer
from ..errors import WorkflowError
from ..heartbeat import Heartbeat
from ..settings import Settings
from .journal import Journal
from .processor import Processor
from .remote import Remote

log = logging.getLogger(__name__)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Process until `stop` is set, then drain; raises WorkflowError where it can't begin."""
    with sole_writer(settings.wallet_key(), settings.state_dir) as account:
        async with Rpc(settings.node_url) as rpc:
            node = Node(rpc, settings.contract)
            await node.require_chain(settings.chain_id)
            await _require_worker(node, account.address)
            journal = Journal(
                settings.state_dir / "processor.sqlite3", settings.chain_id, settings.contract
            )
            heads = Heads(rpc)
            heartbeat = Heartbeat(settings.state_dir, "processor")
            submitter = Submitter(
                node, heads, account, settings.chain_id, heartbeat.watch("the submitter")
            )
            funds = Funds(node, submitter)
            remote = Remote(settings.handlers_socket)
            processor = Processor(
                node,
                heads,
                submitter,
                journal,
                remote,
                scope=f"{settings.chain_id}/{settings.contract}",
                lease_seconds=settings.lease_seconds,
            )
            log.info("processing %s on %s", settings.contract, settings.chain_id)
            async with (
                heads.following(),
                heartbeat.beating(),
                submitter.running(),
                remote.running(),
                funds.watching(),
            ):
                await _work(processor, heartbeat, funds, stop, settings.drain_seconds)
            journal.close()
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


async def _work(
    processor: Processor,
    heartbeat: Heartbeat,
    funds: Funds,
    stop: asyncio.Event,
    drain_seconds: float,
) -> None:
    async with asyncio.TaskGroup() as group:
        claiming, *others = (
            group.create_task(loop(heartbeat.watch(f"the {name}")))
            for name, loop in (
                ("claiming", processor.claim),
                ("reading of events", processor.read),
                ("renewal of leases", processor.renew),
                ("sweep", processor.sweep),
            )
        )
        while not stop.is_set():
            if processor.fault is not None:
                raise processor.fault
            heartbeat.status = processor.status() | {"warning": funds.warning}
            try:
                await asyncio.wait_for(stop.wait(), 1.0)
            except TimeoutError:
                continue
        processor.stop_claiming()
        deadline = time.monotonic() + drain_seconds
        # A node that is away may keep claims from being settled: the next start sees to them.
        await asyncio.wait([claiming], timeout=drain_seconds)
        await processor.drain(max(0.0, deadline - time.monotonic()))
        for task in (claiming, *others):
            task.cancel()
