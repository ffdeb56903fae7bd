"""The long walks: `pytest tests/contract/long_model.py`, ten minutes on a machine of its own.

Its name keeps it out of the suite.
"""

import pytest

from workflow_backend.contract_versions import VERSIONS, ContractVersion

from .jobs import SECOND, Jobs
from .mutants import MUTANTS, mutant
from .vm import Chain, Refused
from .walk import Broken, Walk

STEPS = 10_000
pytestmark = pytest.mark.timeout(3600)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: f"v{version.number}")
def test_contract_agrees_with_model(chain: Chain, version: ContractVersion, seed: int) -> None:
    Walk(Jobs(chain, version), seed).run(STEPS)


@pytest.mark.parametrize("rule", MUTANTS)
def test_model_finds_broken_rule(chain: Chain, rule: str) -> None:
    with pytest.raises((Broken, Refused)):
        Walk(Jobs(chain, SECOND, mutant(rule)), seed=1).run(STEPS)
