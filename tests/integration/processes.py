"""Processes, ports and waiting, for tests that start programs."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until[T](question: Callable[[], T], seconds: float, what: str) -> T:
    """Ask until the answer is true; fail with what was waited for and the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what} (last answer: {answer!r})")
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    """The process ids of what a process has started and what has not ended."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants(pid: int) -> set[int]:
    """The process ids of all that a process, or one of these, has started."""
    with suppress(FileNotFoundError, ProcessLookupError):
        found = children(pid)
        return {*found, *(further for child in found for further in descendants(child))}
    return set()


def exists(pid: int) -> bool:
    """Whether there is a process of that id."""
    return Path(f"/proc/{pid}").exists()
