"""Playbooks run on booted hosts, as an operator runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from . import REPO
from .group import of_command
from .store import Record

_RECAP = re.compile(r"^(\S+)\s+: (ok=.*)$", re.MULTILINE)


class PlayFailed(AssertionError):
    """A playbook did not end as a test relies on."""


class Play:
    """A playbook that runs, or that has ended."""

    def __init__(
        self, record: Record, playbook: str, arguments: tuple[str, ...], variables: dict[str, Any]
    ) -> None:
        # Of its own: its workers have sessions of their own, and its connections outlive them all.
        self._group = of_command()
        # Of its own too, so that it meets no connection to a host that was killed meanwhile.
        self._folder = self._group.folder
        self._folder.mkdir(mode=0o700)
        self._file = self._folder / "output"
        self.playbook = playbook
        command = [str(Path(sys.executable).with_name("ansible-playbook"))]
        command += ["-i", str(record.folder / "inventory.yml")]
        if variables:
            (self._folder / "variables.json").write_text(json.dumps(variables))
            command += ["-e", f"@{self._folder / 'variables.json'}"]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(REPO / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._folder / "ssh"),
            "PYTHONUNBUFFERED": "1",
        }
        with self._file.open("wb") as output:
            self._process = self._group.start(
                [*command, *arguments, _path(playbook)],
                cwd=REPO,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._ended = False
        self._output = ""

    # --- while it runs

    def until(self, text: str, timeout: float = 900) -> Self:
        """Wait until it has printed this, the name of a task for example; it goes on meanwhile."""
        deadline = time.monotonic() + timeout
        while text not in self.output:
            if self._process.poll() is not None and text not in self.output:
                raise PlayFailed(f"{self.playbook} ended without {text!r}\n{self.output}")
            if time.monotonic() > deadline:
                raise PlayFailed(f"{self.playbook}: no {text!r} within {timeout:.0f} s")
            time.sleep(0.05)
        return self

    def stop(self, number: int = signal.SIGKILL) -> Self:
        """Send Ansible a signal; without one, end all of it, as when the control machine dies."""
        if number != signal.SIGKILL:
            os.killpg(self._process.pid, number)
            return self.wait()
        self.close()
        return self

    def wait(self, timeout: float = 2400) -> Self:
        """Wait until it has ended; raises `PlayFailed`, with what it printed, where it does not."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.close()
            raise PlayFailed(
                f"{self.playbook} has not ended within {timeout:.0f} s\n{self.output}"
            ) from None
        finally:
            self.close()
        return self

    def close(self) -> None:
        """End it, if it has not ended, and the connections that Ansible keeps open."""
        if self._ended:
            return
        self._group.kill()
        self._process.wait()
        self._output = self.output
        self._ended = True
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def is_running(self) -> bool:
        """Whether anything is left of it."""
        return not self._group.is_empty()

    # --- what came of it

    @property
    def output(self) -> str:
        """What it printed, or has printed so far."""
        return self._output if self._ended else self._file.read_text(errors="replace")

    @property
    def prose(self) -> str:
        """What it printed as one line, to look for a sentence in it."""
        return as_prose(self.output)

    @property
    def code(self) -> int:
        """Its exit code."""
        self.wait()
        return self._process.returncode

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """The numbers of its last lines: `play.recap["one"]["changed"]`."""
        return read_recap(self.wait().output)

    def ok(self) -> Self:
        """Itself; raises `PlayFailed`, with what it printed, where it failed."""
        if self.code != 0:
            raise PlayFailed(f"{self.playbook} ended with {self.code}\n{self.output}")
        return self

    def failed(self) -> Self:
        """Itself; raises `PlayFailed` where it did not fail."""
        if self.code == 0:
            raise PlayFailed(f"{self.playbook} did not fail\n{self.output}")
        return self

    def unchanged(self) -> Self:
        """Itself; raises `PlayFailed` where it failed or changed anything."""
        self.ok()
        if not self.recap or any(numbers["changed"] for numbers in self.recap.values()):
            raise PlayFailed(f"{self.playbook} changed something\n{self.output}")
        return self


def as_prose(output: str) -> str:
    """Undo what YAML does to a sentence: it breaks lines, and in quotes it doubles quotes."""
    return " ".join(output.split()).replace("''", "'")


def read_recap(output: str) -> dict[str, dict[str, int]]:
    """The numbers of each host in what Ansible printed at its end."""
    found = {}
    for host, numbers in _RECAP.findall(output):
        pairs = (pair.split("=") for pair in numbers.split())
        found[host] = {name: int(number) for name, number in pairs}
    return found


def inventory(record: Record, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The hosts of a network as an inventory of Ansible."""
    groups: dict[str, dict[str, Any]] = {}
    for host in record.hosts:
        for group in host.groups:
            groups.setdefault(group, {"hosts": {}})["hosts"][host.name] = {}
    return {
        "all": {
            "vars": {
                "ansible_user": "root",
                "ansible_ssh_common_args": f"-F {record.folder / 'ssh_config'}",
                **variables,
            },
            "hosts": {host.name: {"ansible_host": host.address} for host in record.hosts},
            "children": groups,
        }
    }


def _path(playbook: str) -> str:
    """The file of a playbook, by its path or as one of this repository's by its name."""
    path = Path(playbook)
    return str(path if path.suffix else REPO / "playbooks" / f"{playbook}.yml")
