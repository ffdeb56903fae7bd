"""Workers, agents and the operator."""

from typing import Any

import pytest

from .jobs import AGENT, ALICE, NAME, OPERATOR, SOURCE, STRANGER, WALT, WANDA, Jobs
from .vm import Chain, Refused

ONLY_OPERATOR = "only the operator may do this"


def test_the_deployer_is_operator_and_worker(chain: Chain) -> None:
    chain.deploy(ALICE, NAME, SOURCE)
    assert chain.read(ALICE, NAME, "get_operator") == ALICE
    assert chain.read(ALICE, NAME, "is_worker", account=ALICE) is True
    assert chain.driver.get(f"{NAME}.workers:{ALICE}") is True
    assert chain.driver.get(f"{NAME}.metadata:name") == "Job Workflow"


def test_the_constructor_names_contract_and_operator(chain: Chain) -> None:
    chain.deploy(ALICE, NAME, SOURCE, name="Orders", operator=WANDA)
    assert chain.read(ALICE, NAME, "get_operator") == WANDA
    assert chain.read(ALICE, NAME, "is_worker", account=ALICE) is False
    assert chain.driver.get(f"{NAME}.metadata:name") == "Orders"


@pytest.mark.parametrize("name", ["x" * 129, "a\nb", "é", 5])
def test_a_name_that_is_refused(chain: Chain, name: Any) -> None:
    with pytest.raises(Refused, match="at most 128 printable ASCII characters"):
        chain.deploy(ALICE, NAME, SOURCE, name=name)
    assert chain.driver.get(f"{NAME}.metadata:operator") is None


def test_workers_come_and_go(jobs: Jobs) -> None:
    assert jobs.send(OPERATOR, "add_worker", account=STRANGER).told == [
        ("WorkerAdded", {"account": STRANGER, "actor": OPERATOR})
    ]
    assert jobs.read("is_worker", account=STRANGER) is True
    assert jobs.send(OPERATOR, "remove_worker", account=STRANGER).told == [
        ("WorkerRemoved", {"account": STRANGER, "actor": OPERATOR})
    ]
    assert jobs.read("is_worker", account=STRANGER) is False
    assert jobs.refusal(WANDA, "add_worker", account=STRANGER) == ONLY_OPERATOR
    assert jobs.refusal(WANDA, "remove_worker", account=WALT) == ONLY_OPERATOR
    assert jobs.refusal(OPERATOR, "remove_worker", account=OPERATOR) == (
        "the operator stays a worker"
    )


def test_a_removed_worker_can_do_nothing_and_its_lease_runs_out(jobs: Jobs) -> None:
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


def test_an_account_names_its_agents(jobs: Jobs) -> None:
    assert jobs.read("is_agent", principal=ALICE, account=AGENT) is True
    assert jobs.read("is_agent", principal=AGENT, account=ALICE) is False
    assert jobs.send(STRANGER, "add_agent", account=AGENT).told == [
        ("AgentAdded", {"account": AGENT, "actor": STRANGER})
    ]
    assert jobs.send(ALICE, "remove_agent", account=AGENT).told == [
        ("AgentRemoved", {"account": AGENT, "actor": ALICE})
    ]
    assert jobs.read("is_agent", principal=STRANGER, account=AGENT) is True
    jobs.put("submitted")
    assert jobs.refusal(AGENT, "cancel_item", item_id="i").startswith("forbidden: ")


def test_the_operator_hands_over_in_two_steps(jobs: Jobs) -> None:
    refused = "only the account that the operator proposed may do this"
    assert jobs.refusal(STRANGER, "propose_operator", account=STRANGER) == ONLY_OPERATOR
    assert jobs.refusal(STRANGER, "accept_operator") == refused
    jobs.send(OPERATOR, "propose_operator", account=STRANGER)
    assert jobs.read("get_operator") == OPERATOR
    assert jobs.refusal(ALICE, "accept_operator") == refused
    assert jobs.send(STRANGER, "accept_operator").told == [
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


def test_a_proposal_is_withdrawn_by_proposing_oneself(jobs: Jobs) -> None:
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
def test_what_is_no_account(jobs: Jobs, account: Any) -> None:
    for function in ("add_worker", "remove_worker", "propose_operator", "add_agent"):
        assert jobs.refusal(OPERATOR, function, account=account) == (
            "an account is 64 lowercase hexadecimal digits or con_ and up to 60 of a-z 0-9 _"
        )
    assert jobs.read("is_worker", account=account) is False
    assert jobs.read("is_agent", principal=account, account=account) is False


def test_a_contract_may_be_an_account(jobs: Jobs) -> None:
    for account in ("con_robot_1", "con_" + "a" * 60):
        jobs.send(OPERATOR, "add_worker", account=account)
        assert jobs.read("is_worker", account=account) is True
