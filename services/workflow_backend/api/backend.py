"""What the routes work with: one per process, opened and closed with the application."""

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from ..chain.blocks import Blocks
from ..chain.funds import Funds
from ..chain.heads import Heads
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..chain.submitter import Submitter
from ..chain.wallet import Account, sole_writer
from ..errors import WalletMissing
from ..heartbeat import Heartbeat
from ..pulse import Pulse
from ..settings import Settings
from ..store import open_store
from ..store.base import Store
from .agents import name_agents
from .feed import EventFeed
from .lag import ProjectionLag
from .limits import RateLimit
from .metrics import Metrics
from .models import Health
from .once import OnceASecond
from .tokens import Tokens
from .waiting import Waiting

REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Writing:
    """What an API with a wallet has beyond one that only reads."""

    submitter: Submitter
    funds: Funds


@dataclass(slots=True)
class Backend:
    """Chain, projection and wallet of this process, and who may use them.

    `requesters` are the wallets of this API and of those that serve the same clients, and the ones
    that these had before.
    """

    settings: Settings
    node: Node
    writing: Writing | None
    store: Store
    waiting: Waiting
    tokens: Tokens | None
    rate: RateLimit
    requesters: tuple[str, ...]
    serving: Pulse
    lag: ProjectionLag
    feed: EventFeed
    blocks: Blocks
    metrics: Metrics
    stopping: asyncio.Event
    health: OnceASecond[Health] = field(default_factory=OnceASecond)
    streams: Counter[str] = field(default_factory=Counter)
    recent: OrderedDict[str, str] = field(default_factory=OrderedDict)

    @property
    def submitter(self) -> Submitter:
        """The one writer; raises WalletMissing where this API only reads."""
        if self.writing is None:
            raise WalletMissing
        return self.writing.submitter

    def remember(self, item_id: str, tx_hash: str) -> None:
        """Keep which transaction submitted an item, until the projection surely knows."""
        self.recent[item_id] = tx_hash
        if len(self.recent) > REMEMBERED:
            self.recent.popitem(last=False)


@contextlib.asynccontextmanager
async def open_backend(settings: Settings, *, read_only: bool) -> AsyncIterator[Backend]:
    """Connect; raises WorkflowError where key, tokens, chain or node are wrong."""
    tokens = Tokens(settings.tokens_file) if settings.tokens_file else None
    with contextlib.ExitStack() as wallet:
        account = None
        if not read_only:
            account = wallet.enter_context(sole_writer(settings.wallet_key(), settings.state_dir))
        async with Rpc(settings.node_url) as rpc, open_store(settings) as store:
            node = Node(rpc, settings.contract)
            await node.require_chain(settings.chain_id)
            if account and settings.api_wallets:
                await name_agents(node, account, settings.chain_id, settings.api_wallets)
            own = {account.address} if account else set()
            metrics, stopping = Metrics(), asyncio.Event()
            heads = Heads(rpc)
            heartbeat = Heartbeat(settings.state_dir, "api")
            waiting = Waiting(node, heads, heartbeat.watch("the look at waiting items"))
            async with (
                heads.following(),
                heartbeat.beating(),
                _writing(settings, node, heads, account, heartbeat) as writing,
                waiting.looking(),
                ProjectionLag().watching(heads) as lag,
                EventFeed(store, lambda: metrics.asked_at).following(stopping) as feed,
            ):
                yield Backend(
                    settings,
                    node,
                    writing,
                    store,
                    waiting,
                    tokens,
                    RateLimit(settings.api_rate),
                    tuple({*own, *settings.api_wallets, *settings.api_former_wallets}),
                    heartbeat.watch("the HTTP server"),
                    lag,
                    feed,
                    Blocks(node, heads),
                    metrics,
                    stopping,
                )


@contextlib.asynccontextmanager
async def _writing(
    settings: Settings, node: Node, heads: Heads, account: Account | None, heartbeat: Heartbeat
) -> AsyncIterator[Writing | None]:
    if account is None:
        yield None
        return
    pulse = heartbeat.watch("the submitter")
    submitter = Submitter(node, heads, account, settings.chain_id, pulse)
    funds = Funds(node, submitter)
    async with submitter.running(), funds.watching():
        yield Writing(submitter, funds)


async def backend(request: Request) -> Backend:
    """Return the application's backend: a dependency of the routes."""
    found: Backend = request.app.state.backend
    return found


Used = Annotated[Backend, Depends(backend)]
