"""Snapshots, upgrades and recovery: what the playbooks ask for, in JSON on standard input."""

import argparse
import json
import sys
from importlib import import_module
from typing import Any

GROUPS = {
    "snapshots": "make, verify and restore snapshots",
    "upgrades": "plan and check upgrades, restarts and stops of hosts",
    "recovery": "recover a lost node without signing twice",
}
"""Each command whose actions are in `operations/NAME/actions.py`, and what it is for."""


def add(commands: Any, called: str | None) -> None:
    """Add the commands that playbooks call; the actions of the one that is called alone."""
    for name, what in GROUPS.items():
        described = f"{what}; reads a JSON request on standard input, prints a JSON answer"
        group = commands.add_parser(name, help=what, description=described)
        if name == called:  # listing the actions imports all that they need
            _add_actions(group, name)


def _add_actions(group: argparse.ArgumentParser, name: str) -> None:
    registry = import_module(f"..operations.{name}.actions", __package__)
    actions = group.add_subparsers(required=True, metavar="action")
    for action, (_, run) in registry.ACTIONS.items():
        what = (run.__doc__ or "").partition("\n")[0].rstrip(".")
        parser = actions.add_parser(action, help=what, description=what)
        parser.add_argument("--check", action="store_true", help="only say what would be done")
        parser.set_defaults(run=_action(registry, action))


def _action(registry: Any, action: str) -> Any:
    def run(arguments: argparse.Namespace) -> int:
        from ..operations import requests

        answer = registry.act(action, requests.read(sys.stdin), check=arguments.check)
        print(json.dumps(answer, sort_keys=True))
        return 0

    return run
