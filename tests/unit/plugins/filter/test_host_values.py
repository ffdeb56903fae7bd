"""One variable of several hosts."""

import runpy
from pathlib import Path

REPO = Path(__file__).parents[4]
host_values = runpy.run_path(str(REPO / "plugins/filter/host_values.py"))["host_values"]
HOSTS = {"one": {"restarts": ["api"]}, "two": {"restarts": []}, "three": {}}


def test_host_values_leaves_out_hosts_without_the_variable() -> None:
    assert host_values(HOSTS, HOSTS, "restarts") == {"one": ["api"], "two": []}


def test_host_values_gives_the_default_to_hosts_without_the_variable() -> None:
    assert host_values(["one", "three"], HOSTS, "restarts", []) == {"one": ["api"], "three": []}
