"""Resident memory of processes, by service."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from workflow_backend import heartbeat


@dataclass
class Memory:
    """Megabytes by service, the most of all its processes: resident at rest, and at the peak."""

    rest: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)

    def at_rest(self, service: str, pid: int) -> None:
        """Take in a process that has nothing to do yet."""
        self.rest[service] = max(self.rest.get(service, 0.0), resident(pid, "VmRSS"))

    def at_peak(self, service: str, pid: int) -> None:
        """Take in a process that has done its part."""
        self.peak[service] = max(self.peak.get(service, 0.0), resident(pid, "VmHWM"))

    @contextmanager
    def of_the_stack(self) -> Iterator[None]:
        """Look at the stack's own services before and after all that the block does.

        One that was started anew meanwhile has taken its peak with it: that is an error.
        """
        before = _beating()
        for service, pid in before.items():
            self.at_rest(service, pid)
        yield
        if _beating() != before:
            raise RuntimeError("a service of the stack was started anew while it was measured")
        for service, pid in before.items():
            self.at_peak(service, pid)


def resident(pid: int | str, line: str) -> float:
    """Return VmRSS or VmHWM of a process in megabytes; raises RuntimeError where it has ended."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    for entry in status.splitlines():
        if entry.startswith(f"{line}:"):
            return int(entry.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has ended")


def _beating() -> dict[str, int]:
    found = {}
    for entry in os.environ["XIAN_WORKFLOW_SERVICES"].split(","):
        service, _, state = entry.partition("=")
        beat = json.loads(heartbeat.path(Path(state), service).read_text(encoding="utf-8"))
        found[service] = int(beat["pid"])
    return found
