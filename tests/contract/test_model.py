"""Whatever people send in whatever order and blocks, the contract does what a plain model says.

`long_model.py` walks farther, and breaks every rule.
"""

import pytest

from workflow_backend.contract_versions import VERSIONS, ContractVersion

from .jobs import SECOND, Jobs
from .mutants import mutant
from .vm import Chain, Refused
from .walk import Broken, Walk

STEPS = 600
MUTANT_STEPS = 200
MUTANTS = {
    "claimed early": 1,
    "claimed before what comes first": 1,
    "claimed in a pause": 11,
    "two holders": 6,
    "stopped item taken over": 8,
    "stopped item released": 8,
    "stopped item retried": 15,
    "archived early": 3,
    "archived id is submitted": 10,
}
"""The seed of a walk that soon comes to where the rule is broken."""


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: f"v{version.number}")
def test_contract_agrees_with_model(chain: Chain, version: ContractVersion) -> None:
    Walk(Jobs(chain, version), seed=1).run(STEPS)


@pytest.mark.parametrize("rule", MUTANTS)
def test_model_finds_broken_rule(chain: Chain, rule: str) -> None:
    with pytest.raises((Broken, Refused)):
        Walk(Jobs(chain, SECOND, mutant(rule)), MUTANTS[rule]).run(MUTANT_STEPS)
