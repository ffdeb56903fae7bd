"""Playbooks that a scenario of Molecule runs while it is verified, as an operator runs them."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import Any

from . import REPO
from .plays import read_recap


@dataclass(frozen=True)
class Ran:
    """What came of a playbook; `said` is what it printed, on one line."""

    name: str
    code: int
    output: str

    @property
    def said(self) -> str:
        """What it printed, whatever the width of a line."""
        return " ".join(self.output.split())

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
