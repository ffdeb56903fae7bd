"""The runbooks of docs/runbooks.md, followed on test hosts as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from . import REPO
from .network import Network

_FILE = REPO / "docs" / "runbooks.md"
_COMMANDS = re.compile(r"^ {4}(.+)$", re.MULTILINE)


def follow(network: Network, host: str, runbook: str, **given: str) -> str:
    """Give a runbook's commands to a shell, on one host; return what they printed.

    `given` says what stands in the place of further words in capitals. Raises AssertionError, with
    what was printed, where a command fails, and LookupError where there is no such runbook.
    """
    words = {
        "ssh root@HOST": f"ssh -F {network.folder / 'ssh_config'} {host}",
        "INVENTORY": str(network.write_inventory()),
        "NETWORK": str(network.variables["xian_network_directory"]),
        "HOST": host,
        **given,
    }
    script = "\n".join(_commands(runbook))
    for word, meaning in words.items():
        script = script.replace(word, meaning)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=REPO,
        env=os.environ
        | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(REPO / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=no",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}"
    return done.stdout


def _commands(runbook: str) -> list[str]:
    for section in _FILE.read_text(encoding="utf-8").split("\n## "):
        heading, _, text = section.partition("\n")
        if heading == runbook:
            return _COMMANDS.findall(text)
    raise LookupError(f"{_FILE} has no runbook {runbook}")
