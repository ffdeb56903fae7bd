"""What the routes work with: one backend per process, opened and closed with the application."""

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from ..chain.balance_monitor import BalanceMonitor
from ..chain.block_subscription import BlockSubscription
from ..chain.blocks import Blocks
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..chain.submitter import Submitter
from ..chain.wallet import Account, lock_wallet
from ..errors import WalletMissing
from ..heartbeat import Heartbeat
from ..settings import Settings
from ..store import open_store
from ..store.base import Store
from ..watchdog import LoopWatchdog
from .agent_sync import sync_agents
from .cached import CachedAnswer
from .feed import EventFeed
from .health_models import Health
from .lag import ProjectionLag
from .metrics import Metrics
from .rate_limit import RateLimit
from .settlement import SettlementWaiter
from .tokens import Tokens

MAX_RECENT_SUBMISSIONS = 10_000


@dataclass(frozen=True, slots=True)
class WriteSide:
    """What an API with a wallet has beyond one that only reads."""

    submitter: Submitter
    balance_monitor: BalanceMonitor


@dataclass(slots=True)
class Backend:
    """Chain, projection and wallet of this process, and who may use them.

    `requesters` are the wallets of this API and of the APIs that serve the same clients, present
    and former ones. `open_streams` counts each client's, `recent_submissions` maps an item's id to
    its transaction.
    """

    settings: Settings
    node: Node
    write_side: WriteSide | None
    store: Store
    settlements: SettlementWaiter
    tokens: Tokens | None
    rate_limit: RateLimit
    requesters: tuple[str, ...]
    server_watchdog: LoopWatchdog
    lag: ProjectionLag
    feed: EventFeed
    blocks: Blocks
    metrics: Metrics
    stopping: asyncio.Event
    health: CachedAnswer[Health] = field(default_factory=CachedAnswer)
    open_streams: Counter[str] = field(default_factory=Counter)
    recent_submissions: OrderedDict[str, str] = field(default_factory=OrderedDict)

    @property
    def submitter(self) -> Submitter:
        """The wallet's only writer; raises WalletMissing if this API only reads."""
        if self.write_side is None:
            raise WalletMissing
        return self.write_side.submitter

    def remember_submission(self, item_id: str, tx_hash: str) -> None:
        """Keep which transaction submitted an item until the projection has surely caught up."""
        self.recent_submissions[item_id] = tx_hash
        if len(self.recent_submissions) > MAX_RECENT_SUBMISSIONS:
            self.recent_submissions.popitem(last=False)


@contextlib.asynccontextmanager
async def open_backend(settings: Settings, *, read_only: bool) -> AsyncIterator[Backend]:
    """Connect; raises WorkflowError if key, tokens, chain or node are wrong."""
    tokens = Tokens(settings.tokens_file) if settings.tokens_file else None
    with contextlib.ExitStack() as wallet:
        account = None
        if not read_only:
            account = wallet.enter_context(lock_wallet(settings.wallet_key(), settings.state_dir))
        async with Rpc(settings.node_url) as rpc, open_store(settings) as store:
            node = Node(rpc, settings.contract)
            await node.require_chain(settings.chain_id)
            if account and settings.api_wallets:
                await sync_agents(node, account, settings.chain_id, settings.api_wallets)
            own = {account.address} if account else set()
            metrics, stopping = Metrics(), asyncio.Event()
            subscription = BlockSubscription(rpc)
            heartbeat = Heartbeat(settings.state_dir, "api")
            watchdog = heartbeat.watch("the settlement waiter")
            settlements = SettlementWaiter(node, subscription, watchdog)
            async with (
                subscription.running(),
                heartbeat.beating(),
                _write_side(settings, node, subscription, account, heartbeat) as write_side,
                settlements.running(),
                ProjectionLag().watching(subscription) as lag,
                EventFeed(store, lambda: metrics.last_request_at).following(stopping) as feed,
            ):
                yield Backend(
                    settings,
                    node,
                    write_side,
                    store,
                    settlements,
                    tokens,
                    RateLimit(settings.api_rate),
                    tuple({*own, *settings.api_wallets, *settings.api_former_wallets}),
                    heartbeat.watch("the HTTP server"),
                    lag,
                    feed,
                    Blocks(node, subscription),
                    metrics,
                    stopping,
                )


@contextlib.asynccontextmanager
async def _write_side(
    settings: Settings,
    node: Node,
    subscription: BlockSubscription,
    account: Account | None,
    heartbeat: Heartbeat,
) -> AsyncIterator[WriteSide | None]:
    if account is None:
        yield None
        return
    watchdog = heartbeat.watch("the submitter")
    submitter = Submitter(node, subscription, account, settings.chain_id, watchdog)
    balance_monitor = BalanceMonitor(node, submitter)
    async with submitter.running(), balance_monitor.running():
        yield WriteSide(submitter, balance_monitor)


async def get_backend(request: Request) -> Backend:
    """Return the application's backend: a dependency of the routes."""
    backend: Backend = request.app.state.backend
    return backend


BackendDep = Annotated[Backend, Depends(get_backend)]
