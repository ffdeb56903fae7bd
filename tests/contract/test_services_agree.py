"""What the services believe of the contract, held against the contract itself."""

from collections.abc import Callable, Sequence

import pytest

from workflow_backend.chain import answers
from workflow_backend.chain import contract as services
from workflow_backend.chain.contract import Action
from workflow_backend.chain.pending import PendingAction
from workflow_backend.chain.queue import ActionQueue
from workflow_backend.items import Item, record_digest

from .jobs import ALICE, OPERATOR, STRANGER, WANDA, Jobs
from .vm import Refused


def test_services_parse_answers_of_batches(jobs: Jobs) -> None:
    said = jobs.read("get_answers")
    assert said == {letter: answers.ANSWERS[letter] for letter in said}


def test_services_know_every_answer_of_newest_version(new_jobs: Jobs) -> None:
    assert answers.ANSWERS.keys() == new_jobs.read("get_answers").keys()


def test_services_digest_records_as_the_contract_does(new_jobs: Jobs) -> None:
    new_jobs.chain.block(1)
    new_jobs.send(OPERATOR, "set_retention", seconds=1)
    apply(new_jobs, ALICE, [services.submit("a", "uri:a", "job", "", "shop", priority=0)])
    apply(new_jobs, ALICE, [services.submit("b", "uri:b", "job", "", after=["a"])])
    new_jobs.chain.block(1)
    b = Item.from_record(new_jobs.record("b"))
    apply(new_jobs, ALICE, [services.cancel(b, "no \u0022more\u0022")])
    new_jobs.chain.block(1)
    new_jobs.apply(STRANGER, services.archive(b).entry)
    stood = new_jobs.stored("b")
    new_jobs.chain.block(2)
    apply(new_jobs, STRANGER, [services.archive(b)])
    tombstone = Item.from_record(new_jobs.stored("b"))
    assert (tombstone.status, tombstone.ended) == ("archived", "cancelled")
    assert tombstone.digest == record_digest(stood)


def test_services_know_the_limit_of_entries(jobs: Jobs) -> None:
    largest = ["x"] * services.BATCH_ENTRIES
    assert jobs.read("get_items", item_ids=largest)
    with pytest.raises(Refused, match=str(services.BATCH_ENTRIES)):
        jobs.read("get_items", item_ids=[*largest, "y"])


QUOTED = '"\\' * 120
"""Each of its characters takes two bytes where it is stored."""


def submission(number: int) -> Action:
    return services.submit(f"i-{number:03}", QUOTED, "k" * 64, QUOTED, "c" * 64)


def groups(actions: Sequence[Action]) -> list[list[Action]]:
    """Return the transactions that a submitter makes of these."""
    queue = ActionQueue(10_000)
    for action in actions:
        queue.add(PendingAction(action))
    found = []
    while queue:
        found.append([pending_action.action for pending_action in queue.next_batch(hold=False)])
    return found


def apply(jobs: Jobs, sender: str, actions: Sequence[Action]) -> None:
    answered = jobs.apply(sender, *(action.entry for action in actions))
    assert {code for code, _ in answered} == {"ok"}


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
async def test_services_transactions_stay_within_write_limit(
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


async def test_services_fill_transactions_to_the_limit(jobs: Jobs) -> None:
    jobs.chain.block(0.123456)
    first, *_ = groups([submission(number) for number in range(200)])
    assert 20 < len(first) < services.BATCH_ENTRIES
    # What is not known before, such as the contract's name and version, costs no fifth of it.
    more = [submission(number) for number in range(len(first) * 6 // 5)]
    with pytest.raises(Refused, match="write capacity"):
        jobs.apply(ALICE, *(action.entry for action in more))


async def test_optimistic_claims_fit(jobs: Jobs) -> None:
    largest = '"' * 1024
    ids = [f"{number:0128}" for number in range(60)]
    submissions = [services.submit(i, largest, "k" * 64, largest, "c" * 64) for i in ids]
    jobs.chain.block(0.123456)
    for group in groups(submissions):
        apply(jobs, ALICE, group)
    jobs.chain.block(0.123456)
    for group in groups([services.claim_optimistically(i, 86_400) for i in ids]):
        apply(jobs, WANDA, group)
