"""A host that does not answer keeps no run for ever."""

import configparser
import re
from pathlib import Path

import yaml

REPO = Path(__file__).parents[2]


def settings() -> configparser.ConfigParser:
    read = configparser.ConfigParser(interpolation=None)
    read.read(REPO / "ansible.cfg")
    return read


def test_task_has_an_end_after_the_longest_program_has_ended() -> None:
    limit = settings().getint("defaults", "task_timeout")
    files = [*REPO.glob("roles/*/tasks/**/*.yml"), *REPO.glob("roles/*/vars/**/*.yml")]
    longest = {
        int(found)
        for file in files
        for found in re.findall(r"(?m)^ *\w*seconds: (\d+)\b", file.read_text())
    }
    assert max(longest) > 6 * 3600
    assert max(longest) < limit
    variables = yaml.safe_load((REPO / "roles/snapshots/vars/main.yml").read_text())
    assert variables["_snapshots_seconds"] in longest


def test_connection_to_a_host_that_is_gone_ends() -> None:
    arguments = settings().get("ssh_connection", "ssh_args")
    assert "-o ServerAliveInterval=" in arguments
    assert "-o ServerAliveCountMax=" in arguments
