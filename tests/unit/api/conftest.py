"""An application with nothing but a projection behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import httpx
import pytest
from openapi_harness import Description

from workflow_backend.api.app import create_app
from workflow_backend.api.backend import Backend, Writing
from workflow_backend.api.feed import EventFeed
from workflow_backend.api.lag import ProjectionLag
from workflow_backend.api.limits import RateLimit
from workflow_backend.api.metrics import Metrics
from workflow_backend.api.tokens import Tokens
from workflow_backend.errors import NodeUnavailable
from workflow_backend.items import Block
from workflow_backend.pulse import Pulse
from workflow_backend.settings import Settings
from workflow_backend.store.base import Position


async def _away(*_: Any) -> NoReturn:
    raise NodeUnavailable


class Store:
    async def item(self, _: str) -> dict[str, Any] | None:
        return None

    async def block_in_which_it_was(self, contract_time: str) -> Block:
        return Block(1, "AA", contract_time, "2026-01-01T00:00:01.000000Z")

    async def position(self) -> Position:
        return Position("chain-1", "con_job_workflow", 1, None)

    async def counts(self, _: Any = None) -> dict[str, int]:
        return dict.fromkeys(("submitted", "processing", "completed", "failed", "cancelled"), 0)


def fake_backend(
    settings: Settings,
    *,
    rate: float = 1000.0,
    tokens: Path | None = None,
    writing: Writing | None = None,
    node: Any = None,
    waiting: Any = None,
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
        writing,
        store or projection,
        waiting or nothing,
        Tokens(tokens) if tokens else None,
        RateLimit(rate),
        (writing.submitter.address,) if writing else (),
        Pulse("server"),
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
        writing: Writing | None = None,
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
            writing=writing,
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
