"""How the platform keeps a contract: the node compiles the source itself, positions and all.

The positions of the source are more than half of what is kept and read for each transaction, and
nobody can leave them out.
"""

import json
from typing import Any

import pytest
import xian_vm_core
from contracting.artifacts import compile_contract_source

from workflow_backend.contract_versions import source_digest, version_of

from .jobs import NAME, OPERATOR, WANDA, Jobs
from .vm import CONTRACTS, Refused

COMPILED = f"{NAME}.__xian_ir_v1__"
POSITIONS = "span"


def without_positions(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: without_positions(part) for key, part in tree.items() if key != POSITIONS}
    return [without_positions(part) for part in tree] if isinstance(tree, list) else tree


def test_kept_source_is_recognised(jobs: Jobs) -> None:
    kept = jobs.chain.driver.get(f"{NAME}.__source__")
    assert kept != (CONTRACTS / jobs.version.file).read_text(encoding="utf-8")
    assert source_digest(kept) == jobs.version.digest
    assert version_of(kept) is jobs.version


def test_node_compiles_the_source_itself(jobs: Jobs) -> None:
    kept = jobs.chain.driver.get(f"{NAME}.__source__")
    compiled = compile_contract_source(module_name=NAME, source=kept)["vm_ir_json"]
    assert jobs.chain.driver.get(COMPILED) == compiled


@pytest.mark.parametrize("argument", ["deployment_artifacts", "vm_ir_json"])
def test_deployment_takes_the_source_alone(jobs: Jobs, argument: str) -> None:
    with pytest.raises(Refused, match=f"unexpected keyword argument '{argument}'"):
        jobs.chain.send(
            OPERATOR,
            "submission",
            "submit_contract",
            name="con_other",
            code="@export\ndef f():\n    return 1\n",
            **{argument: {"vm_ir_json": jobs.chain.driver.get(COMPILED)}},
        )


def test_vm_runs_nothing_without_positions(jobs: Jobs) -> None:
    compiled = jobs.chain.driver.get(COMPILED)
    bare = without_positions(json.loads(compiled))
    assert len(json.dumps(bare)) < len(compiled) * 0.6
    with pytest.raises(ValueError, match=f"missing field `{POSITIONS}`"):
        xian_vm_core.validate_module_ir(bare)
    jobs.chain.driver.set(COMPILED, json.dumps(bare))
    with pytest.raises(Refused):
        jobs.send(OPERATOR, "is_worker", account=WANDA)
