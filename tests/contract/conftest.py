from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from workflow_backend.contract_versions import VERSIONS, ContractVersion

from .jobs import FIRST, SECOND, Jobs
from .vm import Chain

logger.remove()  # the node's processor tells of every refusal, and the tests expect many


@pytest.fixture
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return Chain(tmp_path_factory.mktemp("chain"))


class Deployed:
    """Each version is deployed once, when a test first asks for it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._jobs: dict[ContractVersion, Jobs] = {}

    def jobs(self, version: ContractVersion) -> Jobs:
        if version not in self._jobs:
            self._jobs[version] = Jobs(Chain(self._home / str(version.number)), version)
        return self._jobs[version]


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return Deployed(tmp_path_factory.mktemp("jobs"))


@pytest.fixture(params=VERSIONS, ids=lambda version: f"v{version.number}")
def jobs(request: pytest.FixtureRequest, deployed: Deployed) -> Iterator[Jobs]:
    """Every released version in turn: what holds for the first holds for all."""
    one = deployed.jobs(request.param)
    with one.chain.unchanged():
        yield one


@pytest.fixture
def first_jobs(deployed: Deployed) -> Iterator[Jobs]:
    """The first version, which the services speak."""
    one = deployed.jobs(FIRST)
    with one.chain.unchanged():
        yield one


@pytest.fixture
def new_jobs(deployed: Deployed) -> Iterator[Jobs]:
    """The version that has stop, archive, priority, times, dependencies and pause."""
    one = deployed.jobs(SECOND)
    with one.chain.unchanged():
        yield one
