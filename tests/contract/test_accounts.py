"""Workers, agents and the operator."""

from pathlib import Path
from typing import Any

import pytest

from workflow_backend.contract_versions import VERSIONS, ContractVersion

from .jobs import AGENT, ALICE, NAME, OPERATOR, SECOND, STRANGER, WALT, WANDA, Jobs
from .vm import CHI_LIMIT, CONTRACTS, Chain, Refused

ONLY_OPERATOR = "only the operator may do this"
NO_ACCOUNT = "an account is 64 lowercase hexadecimal digits or con_ and up to 60 of a-z 0-9 _"


@pytest.fixture(params=VERSIONS, ids=lambda version: f"v{version.number}")
def source(request: pytest.FixtureRequest) -> Path:
    version: ContractVersion = request.param
    return CONTRACTS / version.file


def test_deployer_is_operator_and_worker(chain: Chain, source: Path) -> None:
    chain.deploy(ALICE, NAME, source)
    assert chain.read(ALICE, NAME, "get_operator") == ALICE
    assert chain.read(ALICE, NAME, "is_worker", account=ALICE) is True
    assert chain.driver.get(f"{NAME}.workers:{ALICE}") is True
    assert chain.driver.get(f"{NAME}.metadata:name") == "Job Workflow"


def test_constructor_names_contract_and_operator(chain: Chain, source: Path) -> None:
    chain.deploy(ALICE, NAME, source, name="Orders", operator=WANDA)
    assert chain.read(ALICE, NAME, "get_operator") == WANDA
    assert chain.read(ALICE, NAME, "is_worker", account=ALICE) is False
    assert chain.driver.get(f"{NAME}.metadata:name") == "Orders"


@pytest.mark.parametrize("name", ["x" * 129, "a\nb", "é", 5])
def test_invalid_name_is_refused(chain: Chain, source: Path, name: Any) -> None:
    with pytest.raises(Refused, match="at most 128 printable ASCII characters"):
        chain.deploy(ALICE, NAME, source, name=name)
    assert chain.driver.get(f"{NAME}.metadata:operator") is None


def test_constructor_carries_workers_and_agents_over(chain: Chain) -> None:
    agents = [[ALICE, AGENT], [ALICE, WALT], [WANDA, AGENT]]
    chain.deploy(
        OPERATOR, NAME, CONTRACTS / SECOND.file, first_workers=[WANDA, WALT], first_agents=agents
    )
    for account, expected in {OPERATOR: True, WANDA: True, WALT: True, ALICE: False}.items():
        assert chain.read(ALICE, NAME, "is_worker", account=account) is expected
    for principal in (ALICE, WANDA):
        for account in (AGENT, WALT, STRANGER):
            said = chain.read(ALICE, NAME, "is_agent", principal=principal, account=account)
            assert said is ([principal, account] in agents)


@pytest.mark.parametrize(
    "arguments",
    [
        {"first_workers": [WANDA, "wanda"]},
        {"first_workers": [5]},
        {"first_agents": [[ALICE, "A" * 64]]},
        {"first_agents": [["con_a:b", AGENT]]},
    ],
)
def test_constructor_carries_no_invalid_account_over(chain: Chain, arguments: Any) -> None:
    with pytest.raises(Refused, match=NO_ACCOUNT):
        chain.deploy(OPERATOR, NAME, CONTRACTS / SECOND.file, **arguments)
    assert chain.driver.get(f"{NAME}.metadata:operator") is None


def test_constructor_carries_hundreds_of_agents_over(chain: Chain) -> None:
    agents = [[f"{number:064x}", AGENT] for number in range(700)]
    receipt = chain.deploy(OPERATOR, NAME, CONTRACTS / SECOND.file, first_agents=agents)
    assert receipt.chi < CHI_LIMIT / 10
    with pytest.raises(Refused, match="write capacity"):
        chain.deploy(OPERATOR, "con_other", CONTRACTS / SECOND.file, first_agents=agents * 2)


def test_workers_are_added_and_removed(jobs: Jobs) -> None:
    assert jobs.send(OPERATOR, "add_worker", account=STRANGER).named_events == [
        ("WorkerAdded", {"account": STRANGER, "actor": OPERATOR})
    ]
    assert jobs.read("is_worker", account=STRANGER) is True
    assert jobs.send(OPERATOR, "remove_worker", account=STRANGER).named_events == [
        ("WorkerRemoved", {"account": STRANGER, "actor": OPERATOR})
    ]
    assert jobs.read("is_worker", account=STRANGER) is False
    assert jobs.refusal(WANDA, "add_worker", account=STRANGER) == ONLY_OPERATOR
    assert jobs.refusal(WANDA, "remove_worker", account=WALT) == ONLY_OPERATOR
    assert jobs.refusal(OPERATOR, "remove_worker", account=OPERATOR) == (
        "the operator stays a worker"
    )


def test_removed_worker_loses_its_lease(jobs: Jobs) -> None:
    before = jobs.put("processing")
    jobs.send(OPERATOR, "remove_worker", account=WANDA)
    for function, arguments in {
        "complete_item": {"result_uri": "r"},
        "fail_item": {"reason": "r"},
        "renew_item": {},
        "release_item": {},
    }.items():
        message = jobs.refusal(WANDA, function, item_id="i", **arguments)
        assert message == "forbidden: only workers may do this"
    assert jobs.record() == before
    jobs.batch(WALT, "claim_items", item_ids=["i"])
    jobs.chain.block(300)
    assert jobs.batch(WALT, "claim_items", item_ids=["i"]) == [("ok", 2)]


def test_account_names_its_agents(jobs: Jobs) -> None:
    assert jobs.read("is_agent", principal=ALICE, account=AGENT) is True
    assert jobs.read("is_agent", principal=AGENT, account=ALICE) is False
    assert jobs.send(STRANGER, "add_agent", account=AGENT).named_events == [
        ("AgentAdded", {"account": AGENT, "actor": STRANGER})
    ]
    assert jobs.send(ALICE, "remove_agent", account=AGENT).named_events == [
        ("AgentRemoved", {"account": AGENT, "actor": ALICE})
    ]
    assert jobs.read("is_agent", principal=STRANGER, account=AGENT) is True
    jobs.put("submitted")
    assert jobs.refusal(AGENT, "cancel_item", item_id="i").startswith("forbidden: ")


def test_operator_hands_over_in_two_steps(jobs: Jobs) -> None:
    refused = "only the account that the operator proposed may do this"
    assert jobs.refusal(STRANGER, "propose_operator", account=STRANGER) == ONLY_OPERATOR
    assert jobs.refusal(STRANGER, "accept_operator") == refused
    jobs.send(OPERATOR, "propose_operator", account=STRANGER)
    assert jobs.read("get_operator") == OPERATOR
    assert jobs.refusal(ALICE, "accept_operator") == refused
    assert jobs.send(STRANGER, "accept_operator").named_events == [
        ("OperatorChanged", {"account": STRANGER, "previous": OPERATOR})
    ]
    assert jobs.read("get_operator") == STRANGER
    assert jobs.read("is_worker", account=STRANGER) is True
    assert jobs.refusal(OPERATOR, "add_worker", account=ALICE) == ONLY_OPERATOR
    assert jobs.refusal(STRANGER, "accept_operator") == refused
    # The one before stays a worker, with what it holds, until the new one removes it.
    assert jobs.read("is_worker", account=OPERATOR) is True
    jobs.send(STRANGER, "remove_worker", account=OPERATOR)
    assert jobs.read("is_worker", account=OPERATOR) is False


def test_proposal_is_withdrawn_by_proposing_oneself(jobs: Jobs) -> None:
    jobs.send(OPERATOR, "propose_operator", account=STRANGER)
    jobs.send(OPERATOR, "propose_operator", account=OPERATOR)
    jobs.refusal(STRANGER, "accept_operator")
    assert jobs.read("get_operator") == OPERATOR


@pytest.mark.parametrize(
    "account",
    [
        *("", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "con_a.b", "con_a:b", "con_é", "wanda"),
        *("con_" + "a" * 61, 5, None, True, ["a" * 64], {"con_a": 1}),
    ],
)
def test_invalid_account_is_refused(jobs: Jobs, account: Any) -> None:
    for function in ("add_worker", "remove_worker", "propose_operator", "add_agent"):
        assert jobs.refusal(OPERATOR, function, account=account) == (NO_ACCOUNT)
    assert jobs.read("is_worker", account=account) is False
    assert jobs.read("is_agent", principal=account, account=account) is False


def test_contract_may_be_an_account(jobs: Jobs) -> None:
    for account in ("con_robot_1", "con_" + "a" * 60):
        jobs.send(OPERATOR, "add_worker", account=account)
        assert jobs.read("is_worker", account=account) is True
