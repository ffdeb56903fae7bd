"""Nodes that answer as a test says."""

from collections.abc import Callable
from typing import Any

import pytest

from workflow_backend.operations.network.node_status import NodeStatus
from workflow_backend.operations.upgrades import quiesce, wait_healthy

type Polls = Callable[..., None]


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch) -> Polls:
    """Set what nodes answer, poll by poll; the last answers stay."""

    def give(*given: dict[str, NodeStatus]) -> None:
        remaining = iter(given)

        async def read_statuses(*_: Any) -> dict[str, NodeStatus]:
            return next(remaining, given[-1])

        for module in (quiesce, wait_healthy):
            monkeypatch.setattr(module, "read_statuses", read_statuses)
            monkeypatch.setattr(module, "POLL_SECONDS", 0.001)

    return give
