"""While a scenario of Molecule is verified: playbooks, as an operator runs them, and the chain."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from testinfra.host import Host

from . import REPO
from .plays import as_prose, read_recap

_HEIGHT = (
    "import json, urllib.request as u; print(json.load(u.urlopen("
    "'http://127.0.0.1:26657/status'))['result']['sync_info']['latest_block_height'])"
)


@dataclass(frozen=True)
class Ran:
    """What came of a playbook; `prose` is what it printed, on one line."""

    name: str
    code: int
    output: str

    @property
    def prose(self) -> str:
        """What it printed as one line, to look for a sentence in it."""
        return as_prose(self.output)

    def ok(self) -> Ran:
        """Itself; raises AssertionError where it failed."""
        assert self.code == 0, f"{self.name} ended with {self.code}\n{self.output}"
        return self

    def refused(self) -> Ran:
        """Itself; raises AssertionError where it did not fail, or changed something before."""
        assert self.code != 0, f"{self.name} did not fail\n{self.output}"
        assert self.changed == 0, f"{self.name} changed something\n{self.output}"
        return self

    def unchanged(self) -> Ran:
        """Itself; raises AssertionError where it failed or changed anything."""
        assert self.ok().changed == 0, f"{self.name} changed something\n{self.output}"
        return self

    @property
    def changed(self) -> int:
        """Tasks that changed something, on all hosts."""
        recap = read_recap(self.output)
        assert recap, f"{self.name} came to no host\n{self.output}"
        return sum(numbers["changed"] for numbers in recap.values())


def play(name: str, *arguments: str, **variables: Any) -> Ran:
    """Run a playbook on the hosts of the scenario: one of the repository's, or its own converge."""
    command = ["ansible-playbook", "--inventory", os.environ["MOLECULE_INVENTORY_FILE"]]
    folder = os.environ["MOLECULE_SCENARIO_DIRECTORY"] if name == "converge" else "playbooks"
    command += [f"{folder}/{name}.yml", "--extra-vars", json.dumps(variables), *arguments]
    done = subprocess.run(
        command,
        cwd=REPO,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Ran(name, done.returncode, done.stdout)


def height(host: Host) -> int:
    """The height that the node of a host is at."""
    return int(host.check_output("python3 -c %s", _HEIGHT))


def wait_for_block(host: Host, after: int, seconds: float = 120) -> int:
    """Wait until a host's node is above a height; return where it is."""
    deadline = time.monotonic() + seconds
    while (now := height(host)) <= after:
        assert time.monotonic() < deadline, f"the chain is at {now} still"
        time.sleep(0.2)
    return now
