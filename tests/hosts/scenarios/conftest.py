"""Fixtures of the tests that boot hosts. They are run by `make test-hosts`, or by their path."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager

import pytest
from tests.hosts import images, network
from tests.hosts.host import HostError
from tests.hosts.network import Network, booted

from steps import SetupError

_SECONDS = 2400


@pytest.fixture(scope="session")
def make_hosts() -> Callable[..., AbstractContextManager[Network]]:
    """Boots hosts: `with make_hosts("cuts", {"one": "bookworm", "two": "forky"}) as hosts:`."""
    return booted


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    try:
        images.check_machine()
    except SetupError as trouble:
        pytest.exit(str(trouble), returncode=1)
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the hosts wrote to their journals before a test failed."""
    report = yield
    if report.failed:
        for booted_hosts in network.alive:
            for host in booted_hosts:
                try:
                    text = host.journal_tail()
                except HostError as error:
                    text = str(error)
                report.sections.append((f"journal of {host.name}", text))
    return report
