"""What the services believe of the contract, held against the contract itself."""

from collections.abc import Callable, Sequence

import pytest

from workflow_backend.chain import contract as services
from workflow_backend.chain.contract import Action
from workflow_backend.chain.queue import ActionQueue
from workflow_backend.chain.tickets import Ticket
from workflow_backend.items import Item

from .jobs import ALICE, WANDA, Jobs
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


QUOTED = '"\\' * 120
"""Each of its characters takes two bytes where it is stored."""


def submission(number: int) -> Action:
    return services.submit(f"i-{number:03}", QUOTED, "k" * 64, QUOTED, "c" * 64)


def groups(actions: Sequence[Action]) -> list[list[Action]]:
    """Return the transactions that a submitter makes of these."""
    queue = ActionQueue(10_000)
    for action in actions:
        queue.add(Ticket(action))
    found = []
    while queue:
        found.append([ticket.action for ticket in queue.next_group(hold=False)])
    return found


def apply(jobs: Jobs, sender: str, actions: Sequence[Action]) -> None:
    answers = jobs.apply(sender, *(action.entry for action in actions))
    assert {answer for answer, _ in answers} == {"ok"}


def items(jobs: Jobs) -> list[Item]:
    return [Item.from_record(jobs.record(f"i-{number:03}")) for number in range(200)]


@pytest.mark.parametrize(
    "last",
    [
        lambda item: services.complete(item, QUOTED),
        lambda item: services.fail(item, QUOTED),
        services.renew,
        services.release,
    ],
)
async def test_no_transaction_of_the_services_writes_too_much(
    jobs: Jobs, last: Callable[[Item], Action]
) -> None:
    jobs.chain.block(0.123456)
    for group in groups([submission(number) for number in range(200)]):
        apply(jobs, ALICE, group)
    jobs.chain.block(0.123456)
    for group in groups([services.claim(item, 60) for item in items(jobs)]):
        apply(jobs, WANDA, group)
    jobs.chain.block(0.123456)
    for group in groups([last(item) for item in items(jobs)]):
        apply(jobs, WANDA, group)


async def test_services_fill_transactions_as_far_as_the_vm_lets_them(jobs: Jobs) -> None:
    jobs.chain.block(0.123456)
    first, *_ = groups([submission(number) for number in range(200)])
    assert 20 < len(first) < services.BATCH_ENTRIES
    # What is not known before, a contract's name among it, costs some entries and no more.
    more = [submission(number) for number in range(len(first) + 5)]
    with pytest.raises(Refused, match="write capacity"):
        jobs.apply(ALICE, *(action.entry for action in more))


async def test_claims_of_items_that_were_not_read_fit_whatever_they_are(jobs: Jobs) -> None:
    largest = '"' * 1024
    ids = [f"{number:0128}" for number in range(60)]
    submissions = [services.submit(i, largest, "k" * 64, largest, "c" * 64) for i in ids]
    jobs.chain.block(0.123456)
    for group in groups(submissions):
        apply(jobs, ALICE, group)
    jobs.chain.block(0.123456)
    for group in groups([services.claim_unread(i, 86_400) for i in ids]):
        apply(jobs, WANDA, group)
