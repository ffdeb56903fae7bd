"""The command takes every action that playbooks may ask for."""

import argparse
from collections.abc import Collection

import pytest

from workflow_backend.cli import recovery as commands
from workflow_backend.operations.recovery.actions import ACTIONS as RECOVERY
from workflow_backend.operations.snapshots.actions import ACTIONS as SNAPSHOTS
from workflow_backend.operations.upgrades.actions import ACTIONS as UPGRADES


@pytest.mark.parametrize(
    ("name", "actions"),
    [("recovery", RECOVERY), ("snapshots", SNAPSHOTS), ("upgrades", UPGRADES)],
)
def test_every_action_is_one_of_the_command(name: str, actions: Collection[str]) -> None:
    parser = argparse.ArgumentParser()
    commands.add(parser.add_subparsers())
    for action in actions:
        assert parser.parse_args([name, action]).action == action
