"""The sign of life: a watchdog hears of it only while every loop of the service goes round."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_backend import heartbeat, pulse
from workflow_backend.heartbeat import Heartbeat


class Manager:
    """The service manager's end: what it was told, since it was last asked."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def told(self) -> list[str]:
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
    """Wait until a line was told; returns all lines until then."""
    told: list[str] = []
    async with asyncio.timeout(20):
        while line not in told:
            told += manager.told()
            await asyncio.sleep(0.01)
    return told


def written(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(heartbeat.path(tmp_path, "one").read_text())
    return found


async def test_ready_is_told_once_and_the_file_goes_in_the_end(
    tmp_path: Path, manager: Manager
) -> None:
    beating = Heartbeat(tmp_path, "one")
    async with beating.beating():
        assert "READY=1" in manager.told()
        beating.status = {"problem": "no node"}
        await beats(manager, "STATUS=no node")
        assert written(tmp_path)["problem"] == "no node"
        assert "READY=1" not in manager.told()
    assert not heartbeat.path(tmp_path, "one").exists()


async def test_a_loop_that_hangs_is_told_and_the_watchdog_hears_no_more(
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr(pulse, "time", SimpleNamespace(monotonic=lambda: now))
    beating = Heartbeat(tmp_path, "one")
    reads, waits = beating.watch("the reading"), beating.watch("the waiting")
    async with beating.beating():
        reads()
        waits()
        waits.rest()  # for work, as long as it takes
        await beats(manager, "WATCHDOG=1")
        now += 119.0
        manager.told()
        assert "WATCHDOG=1" in await beats(manager, "STATUS=well")
        now += 2.0
        stuck = "the reading has not gone on for 121 s"
        await beats(manager, f"STATUS={stuck}")
        manager.told()
        assert "WATCHDOG=1" not in await beats(manager, f"STATUS={stuck}")
        assert written(tmp_path)["problem"] == stuck
        reads()
        await beats(manager, "WATCHDOG=1")
        assert "problem" not in written(tmp_path)


async def test_a_file_that_can_not_be_written_ends_nothing(
    tmp_path: Path, manager: Manager
) -> None:
    path = heartbeat.path(tmp_path, "one")
    async with Heartbeat(tmp_path, "one").beating():
        path.with_suffix(".new").mkdir()
        await asyncio.sleep(0.05)
        manager.told()
        await beats(manager, "WATCHDOG=1")
        path.with_suffix(".new").rmdir()
        last = at = written(tmp_path)["at"]
        async with asyncio.timeout(20):
            while at == last:
                await asyncio.sleep(0.01)
                at = written(tmp_path)["at"]
