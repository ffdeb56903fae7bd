"""What the log says of an outage, however many meet it and however often."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_backend import outage_log as module
from workflow_backend.chain.node import Node
from workflow_backend.chain.rpc import Rpc
from workflow_backend.errors import NodeUnavailable
from workflow_backend.outage_log import OutageLog


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    caplog.set_level(logging.INFO)
    return Clock(monkeypatch)


def test_outage_is_logged_each_minute_and_at_its_end(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outage = OutageLog("the node answers again")
    for _ in range(1_500):  # 150 seconds, ten a second
        outage.record_failure(NodeUnavailable("no answer", hint=""))
        clock.now += 0.1
    assert caplog.messages == ["no answer", "no answer, for 60 s now", "no answer, for 120 s now"]
    clock.now += 10
    outage.record_success()
    outage.record_success()
    assert caplog.messages[3:] == ["the node answers again after 150 s"]


def test_flapping_outage_is_logged_rarely(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageLog("the node answers again")
    for _ in range(60):
        outage.record_failure(NodeUnavailable("no answer"))
        outage.record_success()  # a part of it answers all the time
        clock.now += 10
        outage.record_success()
    assert len(caplog.messages) <= 2 * 10


def test_logged_error_is_not_logged_again(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    first, second = OutageLog("the node answers again"), OutageLog("events are read again")
    error = NodeUnavailable("no answer", hint="")
    first.record_failure(error)
    second.record_failure(error)
    clock.now += 10
    second.record_success()
    first.record_success()
    assert caplog.messages == ["no answer", "the node answers again after 0 s"]


async def test_absent_node_is_logged_once(
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
