"""An application with nothing but a projection behind it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import httpx
import pytest
from openapi_harness import Description

from workflow_backend.api import outcomes, submissions
from workflow_backend.api.app import create_app
from workflow_backend.api.backend import Backend, WriteSide
from workflow_backend.api.feed import EventFeed
from workflow_backend.api.lag import ProjectionLag
from workflow_backend.api.metrics import Metrics
from workflow_backend.api.rate_limit import RateLimit
from workflow_backend.api.tokens import Tokens
from workflow_backend.chain.balance_monitor import BalanceMonitor
from workflow_backend.chain.submitter import Submitter
from workflow_backend.chain.wallet import Account
from workflow_backend.errors import NodeUnavailable
from workflow_backend.items import STATUSES, Block
from workflow_backend.settings import Settings
from workflow_backend.store.base import ListPage, ProjectionProgress
from workflow_backend.watchdog import LoopWatchdog

from ..chain.fake_chain import KEY, BlockSubscription, Chain


async def _away(*_: Any) -> NoReturn:
    raise NodeUnavailable


class Store:
    async def item(self, _: str) -> dict[str, Any] | None:
        return None

    async def items(self, *_: Any) -> ListPage:
        return ListPage([], None)

    async def events(self, *_: Any) -> ListPage:
        return ListPage([], None)

    async def block_at_contract_time(self, contract_time: str) -> Block:
        return Block(1, "AA", contract_time, "2026-01-01T00:00:01.000000Z")

    async def progress(self) -> ProjectionProgress:
        return ProjectionProgress("chain-1", "con_job_workflow", 1, None)

    async def counts(self, _: Any = None) -> dict[str, int]:
        return dict.fromkeys(STATUSES, 0)

    async def event_count(self, _: Any = None) -> int:
        return 0


class Projection(Store):
    """It has the item "a", and its submissions with their transactions, newest first."""

    def __init__(self, *transactions: tuple[str, str]) -> None:
        given = transactions or (("2026-01-01 00:00:00", "AB"),)
        self._rows = [{"created_at": at, "tx_hash": tx_hash} for at, tx_hash in given]

    async def item(self, item_id: str) -> dict[str, Any] | None:
        return {} if item_id == "a" else None

    async def events(self, _: Any, limit: int = 100, cursor: str | None = None) -> ListPage:
        start = int(cursor or 0)
        more = start + limit < len(self._rows)
        return ListPage(self._rows[start : start + limit], str(start + limit) if more else None)


@contextlib.asynccontextmanager
async def write_side(chain: Any) -> AsyncIterator[WriteSide]:
    submitter = Submitter(chain, BlockSubscription(), Account(KEY), "chain-1")  # type: ignore[arg-type]
    async with submitter.running(drain_seconds=0.0):
        yield WriteSide(submitter, BalanceMonitor(chain, submitter))


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    monkeypatch.setattr(outcomes, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(submissions, "INDEX_WAIT_SECONDS", 0.3)
    return Chain()


def fake_backend(
    settings: Settings,
    *,
    rate: float = 1000.0,
    tokens: Path | None = None,
    write_side: WriteSide | None = None,
    node: Any = None,
    settlements: Any = None,
    store: Any = None,
    lag: ProjectionLag | None = None,
    feed: EventFeed | None = None,
    blocks: Any = None,
    stopping: asyncio.Event | None = None,
) -> Backend:
    """A backend whose parts are those given; there is no node where none is."""
    nothing: Any = SimpleNamespace(require_chain=_away, item=_away)
    projection: Any = Store()
    return Backend(
        settings,
        node or nothing,
        write_side,
        store or projection,
        settlements or nothing,
        Tokens(tokens) if tokens else None,
        RateLimit(rate),
        (write_side.submitter.address,) if write_side else (),
        LoopWatchdog("server"),
        lag or ProjectionLag(),
        feed or EventFeed(store or projection, lambda: 0.0),
        blocks or nothing,
        Metrics(),
        stopping or asyncio.Event(),
    )


type Open = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def api() -> AsyncIterator[Open]:
    """Opens an application with these settings; nothing but the projection is behind it.

    Each answer is held against the application's own description.
    """
    clients: list[httpx.AsyncClient] = []

    def start(
        *,
        rate: float = 1000.0,
        tokens: Path | None = None,
        write_side: WriteSide | None = None,
        node: Any = None,
        store: Any = None,
        blocks: Any = None,
        **environment: str,
    ) -> httpx.AsyncClient:
        settings = Settings.load({"XIAN_CHAIN_ID": "chain-1", **environment})
        backend = fake_backend(
            settings,
            rate=rate,
            tokens=tokens,
            write_side=write_side,
            node=node,
            store=store,
            blocks=blocks,
        )
        app = create_app(backend)
        description = Description(app.openapi())

        async def described(answer: httpx.Response) -> None:
            method, path = answer.request.method, answer.request.url.path
            if method != "OPTIONS" and not path.startswith(("/docs", "/openapi", "/static")):
                kind = answer.headers["Content-Type"]
                description.check(method, path, answer.status_code, kind, await answer.aread())

        transport = httpx.ASGITransport(app)
        hooks = {"response": [described]}
        clients.append(
            httpx.AsyncClient(transport=transport, base_url="http://localhost", event_hooks=hooks)
        )
        return clients[-1]

    yield start
    for client in clients:
        await client.aclose()
