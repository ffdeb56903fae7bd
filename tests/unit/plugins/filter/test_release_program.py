"""The roles run programs from where a release has them."""

import pytest
from tests.unit.modules.loading import filters
from tests.unit.release.small import SCRIPTS

release_program = filters("release_program")["release_program"]


@pytest.mark.parametrize("name", ["workflow-backend", "python", "cometbft", "postgres"])
def test_program_is_where_an_installation_runs_it(name: str) -> None:
    program = release_program(name).removeprefix("/opt/workflow-backend/current/")
    assert (f"{program}/postgres" if name == "postgres" else program) in SCRIPTS
