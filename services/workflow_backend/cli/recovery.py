"""Snapshots, upgrades and recovery: what the playbooks ask for, in JSON on standard input."""

import argparse
import json
import sys
from typing import Any

_SNAPSHOTS = (
    *("make", "list", "prune", "admit", "sign", "countersign", "agree", "verify", "drill"),
    *("choose", "prepare", "status", "swap", "finish", "undo", "projection", "levels"),
)
_UPGRADES = ("plan", "verb", "restarts", "take-down", "well", "rest", "stopped", "note")
_RECOVERY = ("gate", "new-home", "home", "alone", "trust", "sync", "index-now", "index", "note")


def add(commands: Any) -> None:
    """Add the commands that playbooks call."""
    what = "make, verify and restore snapshots; the request is JSON on standard input"
    snapshots = commands.add_parser("snapshots", help=what, description=what)
    snapshots.add_argument("action", choices=_SNAPSHOTS)
    snapshots.add_argument("--check", action="store_true", help="only say what would be done")
    snapshots.set_defaults(run=_snapshots)
    what = "plan and watch a change of what hosts run; the request is JSON on standard input"
    upgrades = commands.add_parser("upgrades", help=what, description=what)
    upgrades.add_argument("action", choices=_UPGRADES)
    upgrades.add_argument("--check", action="store_true", help="as without: nothing is changed")
    upgrades.set_defaults(run=_upgrades)
    what = "bring a lost node back without signing twice; the request is JSON on standard input"
    recovery = commands.add_parser("recovery", help=what, description=what)
    recovery.add_argument("action", choices=_RECOVERY)
    recovery.add_argument("--check", action="store_true", help="only say what would be done")
    recovery.set_defaults(run=_recovery)


def _snapshots(arguments: argparse.Namespace) -> int:
    from ..operations import asking
    from ..operations.snapshots.actions import act

    answer = act(arguments.action, asking.read(sys.stdin), check=arguments.check)
    print(json.dumps(answer, sort_keys=True))
    return 0


def _upgrades(arguments: argparse.Namespace) -> int:
    from ..operations import asking
    from ..operations.upgrades.actions import act

    print(json.dumps(act(arguments.action, asking.read(sys.stdin))))
    return 0


def _recovery(arguments: argparse.Namespace) -> int:
    from ..operations import asking
    from ..operations.recovery.actions import act

    answer = act(arguments.action, asking.read(sys.stdin), check=arguments.check)
    print(json.dumps(answer, sort_keys=True))
    return 0
