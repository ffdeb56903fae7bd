"""Playbooks that name their hosts otherwise refuse where they would do nothing, and say so."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
HOSTS: dict[str, object] = {"one": {}, "two": {}}
PEERS = "--limit leaves out peers that take part"


def play(place: Path, name: str, *arguments: str) -> str:
    """Run one that fails before it reaches a host; return what it printed, in one line."""
    inventory = place / "inventory.json"
    inventory.write_text(json.dumps({"xian_node": {"hosts": HOSTS}}))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory)]
    done = subprocess.run(
        [*command, str(REPO / "playbooks" / f"{name}.yml"), *arguments],
        cwd=place,
        env=os.environ | {"ANSIBLE_CONFIG": str(REPO / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout
    return " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("bootstrap-state-sync", (), "Which host? -e xian_recovery_host=HOST, one of one, two."),
        ("bootstrap-state-sync", ("-e", "xian_recovery_host=nope"), "one, two; nope is none."),
        ("bootstrap-state-sync", ("-e", "xian_recovery_host=one", "--limit=one"), PEERS),
        ("drill", (), "The inventory has no host in the group drill"),
        (
            "drill",
            ("-e", "snapshots_from=/nowhere"),
            "The inventory has no host in the group drill",
        ),
    ],
)
def test_a_playbook_that_would_do_nothing_fails(
    tmp_path: Path, name: str, arguments: tuple[str, ...], told: str
) -> None:
    assert told in play(tmp_path, name, *arguments)
