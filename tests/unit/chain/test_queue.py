"""What waits for a transaction: shares, turns, and what fits together."""

import pytest

from workflow_backend.chain import contract
from workflow_backend.chain.contract import Action
from workflow_backend.chain.pending import PendingAction
from workflow_backend.chain.queue import ActionQueue
from workflow_backend.chain.write_size import MAX_WRITE_BYTES
from workflow_backend.errors import Overloaded

SMALL = contract.submit("a", "x", "job", "")
LARGE = contract.submit("a" * 128, "x" * 1024, "k" * 64, "m" * 1024)


def filled(queue: ActionQueue, client: str, action: Action = SMALL) -> list[PendingAction]:
    """Let a client put in as much as it may."""
    pending_actions: list[PendingAction] = []
    while True:
        pending_action = PendingAction(action, client)
        try:
            queue.add(pending_action)
        except Overloaded:
            return pending_actions
        pending_actions.append(pending_action)


def added(queue: ActionQueue, number: int, client: str = "", action: Action = SMALL) -> None:
    for _ in range(number):
        queue.add(PendingAction(action, client))


async def test_batch_respects_contract_limits() -> None:
    queue = ActionQueue(10_000)
    added(queue, 500)
    assert len(queue.next_batch(hold=False)) == contract.BATCH_ENTRIES
    queue = ActionQueue(10_000)
    added(queue, 500, action=LARGE)
    count = len(queue.next_batch(hold=False))
    assert count * LARGE.write_size <= MAX_WRITE_BYTES < (count + 1) * LARGE.write_size
    assert len(queue) == 500 - count


async def test_oversized_action_is_sent_alone() -> None:
    queue = ActionQueue(10_000)
    huge = Action({"action": "submit", "item_id": "a"}, write_size=MAX_WRITE_BYTES * 2)
    added(queue, 2, action=huge)
    assert len(queue.next_batch(hold=False)) == 1


async def test_held_batch_waits_until_full() -> None:
    queue = ActionQueue(10_000)
    assert queue.next_batch(hold=False) == []
    added(queue, contract.BATCH_ENTRIES)
    assert queue.next_batch(hold=True) == []
    added(queue, 1)
    assert len(queue.next_batch(hold=True)) == contract.BATCH_ENTRIES
    assert len(queue.next_batch(hold=False)) == 1


async def test_queue_keeps_room_for_every_client() -> None:
    queue = ActionQueue(300)
    greedy = filled(queue, "greedy")
    assert len(greedy) == 150
    assert len(filled(queue, "modest")) == 75
    with pytest.raises(Overloaded, match="client 'greedy' has 150 actions waiting"):
        queue.add(PendingAction(SMALL, "greedy"))
    queue.add(PendingAction(SMALL, "third"))
    assert len(queue) == 226


async def test_queue_serves_clients_in_turn() -> None:
    queue = ActionQueue(10_000)
    greedy = [PendingAction(SMALL, "greedy") for _ in range(1_000)]
    modest = [PendingAction(SMALL, "modest") for _ in range(3)]
    for pending_action in greedy + modest:
        queue.add(pending_action)
    group = queue.next_batch(hold=False)
    assert len(group) == contract.BATCH_ENTRIES
    assert [
        pending_action for pending_action in group if pending_action.client == "modest"
    ] == modest
    assert group.index(modest[-1]) < 6
    ours = [pending_action for pending_action in group if pending_action.client == "greedy"]
    assert ours == greedy[: len(ours)]


async def test_queue_serves_all_of_many_clients() -> None:
    queue = ActionQueue(10_000)
    for client in range(200):
        added(queue, 3, f"c-{client}")
    served = [
        pending_action.client for _ in range(3) for pending_action in queue.next_batch(hold=False)
    ]
    assert {served.count(f"c-{client}") for client in range(200)} == {1, 2}


async def test_requeued_batch_goes_first_and_alone() -> None:
    queue = ActionQueue(10_000)
    first, second, third = (PendingAction(SMALL) for _ in range(3))
    first.tx_hash = second.tx_hash = "AB"
    queue.add(third)
    queue.requeue([first, second])
    assert {first.tx_hash, second.tx_hash} == {None}
    assert queue.withdraw(second)
    assert not queue.withdraw(second)
    assert queue.next_batch(hold=True) == [first]
    assert queue.withdraw(third)
    assert len(queue) == 0
    assert queue.next_batch(hold=False) == []


async def test_clear_returns_everything() -> None:
    queue = ActionQueue(3)
    pending_actions = [PendingAction(SMALL, "a"), PendingAction(SMALL, "b")]
    for pending_action in pending_actions:
        queue.add(pending_action)
    queue.requeue([PendingAction(SMALL)])
    assert len(queue.clear()) == 3
    assert len(queue) == 0
    added(queue, 1, "a")


async def test_batch_is_of_one_contract() -> None:
    queue = ActionQueue(10_000)
    for contract_name in ("con_new", "con_old", "con_new", "con_old"):
        queue.add(PendingAction(SMALL, "client", contract_name))
    batches = [queue.next_batch(hold=False) for _ in range(3)]
    assert [[action.contract for action in batch] for batch in batches] == [
        ["con_new", "con_new"],
        ["con_old", "con_old"],
        [],
    ]
