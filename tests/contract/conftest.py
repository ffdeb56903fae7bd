from collections.abc import Iterator

import pytest
from loguru import logger

from .jobs import Jobs
from .vm import Chain

logger.remove()  # the node's processor tells of every refusal, and the tests expect many


@pytest.fixture
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return Chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    return Jobs(Chain(tmp_path_factory.mktemp("jobs")))


@pytest.fixture
def jobs(deployed: Jobs) -> Iterator[Jobs]:
    with deployed.chain.unchanged():
        yield deployed
