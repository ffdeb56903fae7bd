"""Control groups: every process of a host or of a command, however it was started, and no other."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from steps import SetupError

from .store import Owner, boot_id

RUN = Path("/run")
_COMMANDS = "wbh-command-"
_numbers = itertools.count()
_PATIENCE = 60  # seconds; a process that writes to a slow disk ends only after that


def root() -> Path:
    """Where the unified hierarchy of control groups is mounted."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    raise SetupError(
        "this machine has no unified hierarchy of control groups",
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified",
    )


def names() -> list[str]:
    """Every group below the root."""
    return [path.name for path in root().iterdir() if path.is_dir()]


def of_command() -> Group:
    """A new group for a command of this process; `sweep` finds it once this process is gone."""
    me = Owner.of(os.getpid())
    return Group(f"{_COMMANDS}{me.pid}-{me.started.split()[-1]}-{next(_numbers)}")


def sweep() -> None:
    """End the commands of processes that are gone, and remove their folders."""
    for path in [*root().glob(f"{_COMMANDS}*"), *RUN.glob(f"{_COMMANDS}*")]:
        pid, started, _ = path.name.removeprefix(_COMMANDS).split("-")
        if not Owner(int(pid), f"{boot_id()} {started}").lives:
            Group(path.name).kill()
            shutil.rmtree(RUN / path.name, ignore_errors=True)


class Group:
    """A control group by its name, below the root: each host needs one that no other shares."""

    def __init__(self, name: str) -> None:
        self.path = root() / name
        # For files of its processes, sockets too: their paths must be short.
        self.folder = RUN / name

    def make(self) -> None:
        """Make it anew. Where its processes were killed once, it would kill new ones too."""
        self.remove()
        self.path.mkdir()

    def start(self, command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        """Start a command in it, made anew, as `subprocess.Popen` does."""
        self.make()
        # A shell puts itself into it: Python's threads and code between fork and exec don't mix.
        shell = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self.path / "cgroup.procs")]
        process: subprocess.Popen[bytes] = subprocess.Popen([*shell, *command], **options)
        return process

    def pids(self) -> list[int]:
        """Every process in it, those of nested groups too."""
        found: list[int] = []
        for file in self.path.rglob("cgroup.procs"):
            try:
                # Zero stands for a process of a namespace that can't be seen from here.
                found += [pid for pid in map(int, file.read_text().split()) if pid]
            except OSError:  # the nested group has just been removed
                continue
        return found

    def init(self) -> int | None:
        """The process that is the host's own process 1; None while the host is down."""
        for pid in self.pids():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            for line in status.splitlines():
                # A service may have a namespace of processes of its own: then there are three.
                if line.startswith("NSpid:") and line.split()[2:] == ["1"]:
                    return pid
        return None

    def freeze(self, frozen: bool) -> None:
        """Stop all its processes where they are, or let them go on."""
        (self.path / "cgroup.freeze").write_text(str(int(frozen)))

    def kill(self) -> None:
        """End all its processes, and remove it."""
        deadline = time.monotonic() + _PATIENCE
        while not self.is_empty():
            if time.monotonic() > deadline:
                raise SetupError(
                    f"processes in {self.path} do not end", "run the same command again"
                )
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        self.remove()

    def is_empty(self) -> bool:
        """Whether no process is left in it; one that is gone has none."""
        try:
            return "populated 0" in (self.path / "cgroup.events").read_text()
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno == errno.ENODEV:  # it went after the file was opened
                return True
            raise

    def remove(self) -> None:
        """Remove it, with the groups that the host's systemd made in it."""
        for folder in [*sorted(self.path.rglob("*"), reverse=True), self.path]:
            if folder.is_dir():
                with contextlib.suppress(FileNotFoundError):  # another thread removes it too
                    folder.rmdir()
