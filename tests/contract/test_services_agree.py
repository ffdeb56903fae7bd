"""What the services believe of the contract, held against the contract itself."""

import pytest

from workflow_backend.chain import contract as services

from .vm import CONTRACTS, Chain, Refused


def test_the_services_read_a_batchs_answer_as_the_contract_means_it(chain: Chain) -> None:
    operator = "0a" * 32
    chain.deploy(operator, "con_job_workflow", CONTRACTS / "con_job_workflow.s.py")
    assert chain.read(operator, "con_job_workflow", "get_answers") == services.ANSWERS


def test_the_services_know_how_many_entries_a_batch_may_have(chain: Chain) -> None:
    operator = "0a" * 32
    chain.deploy(operator, "con_job_workflow", CONTRACTS / "con_job_workflow.s.py")
    largest = ["x"] * services.BATCH_ENTRIES
    assert chain.read(operator, "con_job_workflow", "get_items", item_ids=largest)
    with pytest.raises(Refused, match=str(services.BATCH_ENTRIES)):
        chain.read(operator, "con_job_workflow", "get_items", item_ids=[*largest, "y"])
