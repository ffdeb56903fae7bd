"""The manager is notified of what happens, and not by children of the program."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from workflow_backend_node.notify import BEAT_SECONDS, Manager


@pytest.fixture(params=["file", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    path = str(tmp_path / "notify") if request.param == "file" else f"@workflow-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path.replace("@", "\0"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        yield listening


def test_facts_are_sent(manager: socket.socket) -> None:
    Manager().notify(READY=1, STATUS="two\nlines")
    assert manager.recv(1000) == b"READY=1\nSTATUS=two lines"


def test_children_have_no_manager(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "8000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert Manager().beat == 2
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & os.environ.keys()
    Manager().notify(READY=1)
    with pytest.raises(BlockingIOError):
        manager.recv(1000)


@pytest.mark.parametrize(
    ("patience", "pid", "beat"),
    [(300_000_000, "", BEAT_SECONDS), (1_000_000, "", 0.25), (1_000_000, "1", BEAT_SECONDS)],
)
def test_signs_of_life_are_as_frequent_as_the_manager_wants(
    patience: int, pid: str, beat: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", str(patience))
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))
    assert Manager().beat == beat


def test_manager_that_is_gone_is_no_trouble(manager: socket.socket) -> None:
    notifier = Manager()
    for _ in range(1000):  # nobody reads: the socket's queue is full long before
        notifier.notify(WATCHDOG=1)
    manager.close()
    notifier.notify(WATCHDOG=1)
