"""One booted host: run commands on it, and do to it what happens to hosts."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence

from steps import write_json

from . import boot, links
from .group import Group
from .store import HostRecord, Record

_SESSION = re.compile(r" (sshd(-session)?|systemd-logind|systemd)\[(?!1\])| (session-|user[@-])")
_UP = ("running", "degraded")


class HostError(AssertionError):
    """A host did not do what a test relies on."""


class Host:
    """A host of a network. Its methods return once what they do is done."""

    def __init__(self, network: Record, record: HostRecord) -> None:
        self.network = network
        self.record = record
        self.name = record.name
        self.address = record.address
        self.folder = network.folder / "hosts" / record.name
        self.group = Group(record.machine)

    def __repr__(self) -> str:
        return f"{self.name} ({self.record.suite}, {self.address})"

    # --- what is run on it

    def run(
        self,
        command: str | Sequence[str],
        *,
        check: bool = True,
        input: str | None = None,  # noqa: A002 -- as `subprocess` names it
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root over SSH: a line for the shell, or words that it leaves alone.

        Raises `HostError`, with what was printed, where it fails and `check` is true.
        """
        line = command if isinstance(command, str) else shlex.join(command)
        try:
            done = subprocess.run(
                ["ssh", "-F", self.network.folder / "ssh_config", self.name, "--", line],
                input=input if input is not None else "",
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            raise HostError(f"{self.name}: not done within {timeout:.0f} s: {line}") from error
        if check and done.returncode != 0:
            raise HostError(
                f"{self.name}: exit code {done.returncode}: {line}\n{done.stdout}{done.stderr}"
            )
        return done

    def output(self, command: str | Sequence[str], timeout: float = 120) -> str:
        """What a command printed, without the end of the last line."""
        return self.run(command, timeout=timeout).stdout.rstrip("\n")

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the host without its network; for a host that SSH can't reach."""
        init = self.group.init()
        if init is None:
            raise HostError(f"{self.name} is down")
        return subprocess.run(
            ["nsenter", "--target", str(init), "--all", "--", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def journal(self, *arguments: str) -> str:
        """The journal of this start of the host."""
        return self.inside("journalctl", "--boot", "--no-pager", "--quiet", *arguments).stdout

    def journal_tail(self) -> str:
        """The end of its journal, without the sessions of those who logged in to look."""
        return notable(self.journal("--lines=500"))

    # --- its power

    @property
    def is_up(self) -> bool:
        """Whether it has a process 1."""
        return self.group.init() is not None

    def spawn(self, authorized_key: str) -> None:
        """Begin to boot a new host; `wait` tells when it is there."""
        self.folder.mkdir(parents=True)
        record = self.record
        hosts = {"localhost": "127.0.0.1"} | {h.name: h.address for h in self.network.hosts}
        machine_id = uuid.uuid4().hex
        spec = {
            "name": self.name,
            "machine": record.machine,
            "machine_id": machine_id,
            "image": record.image,
            "bridge": self.network.bridge,
            "group": str(self.group.path),
            "authorized_key": authorized_key,
            "files": {
                "etc/machine-id": f"{machine_id}\n",
                "etc/hostname": f"{self.name}\n",
                "etc/hosts": "".join(f"{address} {name}\n" for name, address in hosts.items()),
                # Before 80-container-host0.network, which systemd brings.
                "etc/systemd/network/10-host0.network": (
                    "[Match]\nName=host0\n\n"
                    f"[Network]\nAddress={self.address}/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
                ),
            },
        }
        write_json(self.folder / "spec.json", spec)
        self._spawn()

    def start(self, timeout: float = 60) -> None:
        """Boot it again after `stop` or `kill`."""
        if self.is_up:
            raise HostError(f"{self.name} is up")
        self._end()
        self._spawn()
        self.wait(timeout)

    def wait(self, timeout: float = 60) -> str:
        """Wait until it is up and SSH works; return what systemd says of itself."""
        deadline = time.monotonic() + timeout
        while True:
            left = max(deadline - time.monotonic(), 1)
            try:
                done = self.run("systemctl is-system-running --wait", check=False, timeout=left)
            except HostError:
                done = None
            state = done.stdout.strip() if done else ""
            if state in _UP:
                return state
            if time.monotonic() > deadline:
                raise HostError(f"{self.name} is not up within {timeout:.0f} s\n{self.console()}")
            time.sleep(0.1)

    def reboot(self, timeout: float = 90) -> None:
        """Let it shut down and boot again, and wait for it."""
        before = self._need_init()
        # What `systemctl reboot` does, without a connection that ends under it.
        os.kill(before, signal.SIGRTMIN + 5)
        self._wait_for(lambda: self.group.init() not in {before, None}, timeout, "it boots again")
        self.wait(timeout)

    def stop(self, timeout: float = 90) -> None:
        """Let it shut down, and wait until it is down."""
        os.kill(self._need_init(), signal.SIGRTMIN + 4)
        self._wait_for(self.group.is_empty, timeout, "it is down")
        self._end()

    def kill(self) -> None:
        """Take its power away: every process of it ends at once, nothing is flushed or said."""
        self._end()

    def pause(self) -> None:
        """Stop all its processes where they are; its connections stay open and say nothing."""
        self.group.freeze(True)

    def resume(self) -> None:
        """Let a paused host go on."""
        self.group.freeze(False)

    # --- its network and its disk

    def cut(self) -> None:
        """Pull its network cable."""
        links.switch(self.record.link, "down")

    def mend(self) -> None:
        """Put its network cable back, and wait until SSH reaches it again."""
        links.switch(self.record.link, "up")
        self._wait_for(
            lambda: self.run("true", check=False).returncode == 0, 30, "SSH reaches it again"
        )

    def small_disk(self, folder: str, megabytes: int) -> None:
        """Put a disk of this size at a folder, until the host's next start."""
        self.run(
            f"mkdir -p {shlex.quote(folder)} && "
            f"mount -t tmpfs -o mode=0755,size={megabytes}m tmpfs {shlex.quote(folder)}"
        )

    def fill(self, folder: str, *, leave_kilobytes: int = 0) -> None:
        """Fill the small disk that a folder is on with a file, `FOLDER/filler`."""
        place = shlex.quote(folder)
        kind = self.output(f"findmnt --noheadings --output FSTYPE --target {place}")
        if kind != "tmpfs":
            raise HostError(f"{self.name}:{folder} is on this machine's own disk: small_disk first")
        free = self.output(f"df --output=avail --block-size=1K {place} | tail -n 1")
        self.run(f"fallocate --length {int(free) - leave_kilobytes}KiB {place}/filler")

    # --- inside

    def console(self) -> str:
        """What it printed while it booted, the end of it."""
        text = (self.folder / "console").read_text(errors="replace")
        return "\n".join(text.splitlines()[-30:])

    def _spawn(self) -> None:
        self.group.make()
        with (self.folder / "console").open("ab") as console:
            subprocess.Popen(
                [sys.executable, "-I", boot.__file__, self.folder],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd="/",
                start_new_session=True,
            )

    def _end(self) -> None:
        self.group.kill()
        self._wait_for(lambda: not links.exists(self.record.link), 10, "its link is gone")

    def _need_init(self) -> int:
        init = self.group.init()
        if init is None:
            raise HostError(f"{self.name} is down")
        return init

    def _wait_for(self, question: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not question():
            if time.monotonic() > deadline:
                raise HostError(f"{self.name}: not within {seconds:.0f} s: {what}")
            time.sleep(0.05)


def notable(journal: str) -> str:
    """The last lines of a journal, the sessions of those who logged in aside."""
    lines = [line for line in journal.splitlines() if not _SESSION.search(line)]
    return "\n".join(lines[-40:])
