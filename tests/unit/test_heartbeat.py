"""The sign of life: a watchdog hears of it only while every loop of the service goes round."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_backend import heartbeat, watchdog
from workflow_backend.heartbeat import Heartbeat


class Manager:
    """The service manager's end: the lines that it got since it was last asked."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def received(self) -> list[str]:
        lines: list[str] = []
        while True:
            try:
                lines += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return lines

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setattr(heartbeat, "INTERVAL_SECONDS", 0.01)
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


async def beats(manager: Manager, line: str) -> list[str]:
    """Wait until a line was received; returns all lines until then."""
    received: list[str] = []
    async with asyncio.timeout(20):
        while line not in received:
            received += manager.received()
            await asyncio.sleep(0.01)
    return received


def written(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(heartbeat.path(tmp_path, "one").read_text())
    return found


async def test_heartbeat_notifies_ready_once(tmp_path: Path, manager: Manager) -> None:
    beating = Heartbeat(tmp_path, "one")
    async with beating.beating():
        assert "READY=1" in manager.received()
        beating.status = {"problem": "no node"}
        await beats(manager, "STATUS=no node")
        assert written(tmp_path)["problem"] == "no node"
        assert "READY=1" not in manager.received()
    assert not heartbeat.path(tmp_path, "one").exists()


async def test_heartbeat_reports_stalled_loop(
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: now))
    beating = Heartbeat(tmp_path, "one")
    reads, waits = beating.watch("the reading"), beating.watch("the waiting")
    async with beating.beating():
        reads.beat()
        waits.beat()
        waits.idle()  # for work, as long as it takes
        await beats(manager, "WATCHDOG=1")
        now += 119.0
        manager.received()
        assert "WATCHDOG=1" in await beats(manager, "STATUS=healthy")
        now += 2.0
        stuck = "the reading has been stuck for 121 s"
        await beats(manager, f"STATUS={stuck}")
        manager.received()
        assert "WATCHDOG=1" not in await beats(manager, f"STATUS={stuck}")
        assert written(tmp_path)["problem"] == stuck
        reads.beat()
        await beats(manager, "WATCHDOG=1")
        assert "problem" not in written(tmp_path)


async def test_heartbeat_survives_write_error(tmp_path: Path, manager: Manager) -> None:
    path = heartbeat.path(tmp_path, "one")
    async with Heartbeat(tmp_path, "one").beating():
        path.with_suffix(".new").mkdir()
        await asyncio.sleep(0.05)
        manager.received()
        await beats(manager, "WATCHDOG=1")
        path.with_suffix(".new").rmdir()
        last = at = written(tmp_path)["at"]
        async with asyncio.timeout(20):
            while at == last:
                await asyncio.sleep(0.01)
                at = written(tmp_path)["at"]
