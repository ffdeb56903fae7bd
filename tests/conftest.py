"""What all tests share: the shell that starts them tells them nothing, and who may run which."""

import os

import pytest

MOST_WORKERS = 8
"""Each starts nodes of its own."""

# As after `. .dev/env`: the programs that tests start inherit what is here.
for name in [name for name in os.environ if name.startswith("XIAN_")]:
    del os.environ[name]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many files are tested at once: tests wait for blocks more than they compute."""
    return min((os.process_cpu_count() or 1) + 1, MOST_WORKERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what only root can run, for everybody else."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("as_root"):
            item.add_marker(pytest.mark.skip(reason="only root has several accounts"))
