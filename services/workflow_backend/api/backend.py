"""What the routes work with: one per process, opened and closed with the application."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from ..chain.funds import Funds
from ..chain.heads import Heads
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..chain.submitter import Submitter
from ..chain.wallet import Account
from ..heartbeat import Heartbeat
from ..pulse import Pulse
from ..settings import Settings
from ..store import open_store
from ..store.base import Store
from .agents import name_agents
from .limits import RateLimit
from .metrics import Metrics
from .tokens import Tokens
from .waiting import Waiting

REMEMBERED = 10_000


@dataclass(slots=True)
class Backend:
    """Chain, projection and wallet of this process, and who may use them.

    `requesters` are the wallets of this API and of those that serve the same clients.
    """

    settings: Settings
    node: Node
    submitter: Submitter
    funds: Funds
    store: Store
    waiting: Waiting
    tokens: Tokens | None
    rate: RateLimit
    requesters: tuple[str, ...]
    serving: Pulse
    metrics: Metrics = field(default_factory=Metrics)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    recent: OrderedDict[str, str] = field(default_factory=OrderedDict)

    def remember(self, item_id: str, tx_hash: str) -> None:
        """Keep which transaction submitted an item, until the projection surely knows."""
        self.recent[item_id] = tx_hash
        if len(self.recent) > REMEMBERED:
            self.recent.popitem(last=False)


@contextlib.asynccontextmanager
async def open_backend(settings: Settings) -> AsyncIterator[Backend]:
    """Connect; raises WorkflowError where key, tokens, chain or node are wrong."""
    tokens = Tokens(settings.tokens_file) if settings.tokens_file else None
    with Account(settings.wallet_key()) as account:
        async with Rpc(settings.node_url) as rpc, open_store(settings) as store:
            node = Node(rpc, settings.contract)
            await node.require_chain(settings.chain_id)
            if settings.api_wallets:
                await name_agents(node, account, settings.chain_id, settings.api_wallets)
            requesters = tuple({account.address, *settings.api_wallets})
            heads = Heads(rpc)
            heartbeat = Heartbeat(settings.state_dir, "api")
            submitter = Submitter(
                node, heads, account, settings.chain_id, heartbeat.watch("the submitter")
            )
            funds = Funds(node, submitter)
            waiting = Waiting(node, heads, heartbeat.watch("the look at waiting items"))
            rate = RateLimit(settings.api_rate)
            async with (
                heads.following(),
                heartbeat.beating(),
                submitter.running(),
                waiting.looking(),
                funds.watching(),
            ):
                yield Backend(
                    settings,
                    node,
                    submitter,
                    funds,
                    store,
                    waiting,
                    tokens,
                    rate,
                    requesters,
                    heartbeat.watch("the HTTP server"),
                )


async def backend(request: Request) -> Backend:
    """Return the application's backend: a dependency of the routes."""
    found: Backend = request.app.state.backend
    return found


Used = Annotated[Backend, Depends(backend)]
