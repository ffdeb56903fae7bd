"""What the log says of an outage, however many meet it and however often."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_backend import outage as module
from workflow_backend.chain.node import Node
from workflow_backend.chain.rpc import Rpc
from workflow_backend.errors import NodeUnavailable
from workflow_backend.outage import Outage


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    caplog.set_level(logging.INFO)
    return Clock(monkeypatch)


def test_outage_is_told_once_then_each_minute_and_at_its_end(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage("the node answers again")
    for _ in range(1_500):  # 150 seconds, ten a second
        outage.failed(NodeUnavailable("no answer", hint=""))
        clock.now += 0.1
    assert caplog.messages == ["no answer", "no answer, for 60 s now", "no answer, for 120 s now"]
    clock.now += 10
    outage.well()
    outage.well()
    assert caplog.messages[3:] == ["the node answers again after 150 s"]


def test_outage_that_comes_and_goes_is_told_twice_a_minute_at_most(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage("the node answers again")
    for _ in range(60):
        outage.failed(NodeUnavailable("no answer"))
        outage.well()  # a part of it answers all the time
        clock.now += 10
        outage.well()
    assert len(caplog.messages) <= 2 * 10


def test_outage_that_others_have_told_is_not_told_again(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Outage("the node answers again"), Outage("events are read again")
    error = NodeUnavailable("no answer", hint="")
    first.failed(error)
    second.failed(error)
    clock.now += 10
    second.well()
    first.well()
    assert caplog.messages == ["no answer", "the node answers again after 0 s"]


async def test_node_that_is_away_is_one_line_whoever_asks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with Rpc(url) as rpc:
        node = Node(rpc, "con_job_workflow")
        asked: list[Callable[[], Awaitable[Any]]] = [
            node.status,
            node.indexed_height,
            partial(node.items, ["a"] * 30),
        ]
        for _ in range(5):
            answers = await asyncio.gather(*(ask() for ask in asked), return_exceptions=True)
            assert all(isinstance(answer, NodeUnavailable) for answer in answers)
    (line,) = caplog.messages
    assert url in line
