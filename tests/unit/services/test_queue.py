"""What waits for a transaction: shares, turns, and what fits together."""

import pytest

from workflow_backend.chain import contract
from workflow_backend.chain.contract import Action
from workflow_backend.chain.queue import ActionQueue
from workflow_backend.chain.tickets import Ticket
from workflow_backend.chain.written import LIMIT
from workflow_backend.errors import Overloaded

SMALL = contract.submit("a", "x", "job", "")
LARGE = contract.submit("a" * 128, "x" * 1024, "k" * 64, "m" * 1024)


def filled(queue: ActionQueue, client: str, action: Action = SMALL) -> list[Ticket]:
    """Let a client put in as much as it may."""
    tickets: list[Ticket] = []
    while True:
        ticket = Ticket(action, client)
        try:
            queue.add(ticket)
        except Overloaded:
            return tickets
        tickets.append(ticket)


def added(queue: ActionQueue, number: int, client: str = "", action: Action = SMALL) -> None:
    for _ in range(number):
        queue.add(Ticket(action, client))


async def test_transaction_holds_what_the_contract_takes_and_may_write() -> None:
    queue = ActionQueue(10_000)
    added(queue, 500)
    assert len(queue.next_group(hold=False)) == contract.BATCH_ENTRIES
    queue = ActionQueue(10_000)
    added(queue, 500, action=LARGE)
    count = len(queue.next_group(hold=False))
    assert count * LARGE.written <= LIMIT < (count + 1) * LARGE.written
    assert len(queue) == 500 - count


async def test_lone_action_goes_however_large_it_is() -> None:
    queue = ActionQueue(10_000)
    huge = Action({"action": "submit", "item_id": "a"}, written=LIMIT * 2)
    added(queue, 2, action=huge)
    assert len(queue.next_group(hold=False)) == 1


async def test_held_group_goes_only_when_nothing_can_join_it() -> None:
    queue = ActionQueue(10_000)
    assert queue.next_group(hold=False) == []
    added(queue, contract.BATCH_ENTRIES)
    assert queue.next_group(hold=True) == []
    added(queue, 1)
    assert len(queue.next_group(hold=True)) == contract.BATCH_ENTRIES
    assert len(queue.next_group(hold=False)) == 1


async def test_every_client_finds_room_beside_a_greedy_one() -> None:
    queue = ActionQueue(300)
    greedy = filled(queue, "greedy")
    assert len(greedy) == 150
    assert len(filled(queue, "modest")) == 75
    with pytest.raises(Overloaded, match="client 'greedy' has 150 actions waiting"):
        queue.add(Ticket(SMALL, "greedy"))
    queue.add(Ticket(SMALL, "third"))
    assert len(queue) == 226


async def test_clients_have_turns_and_each_keeps_its_order() -> None:
    queue = ActionQueue(10_000)
    greedy = [Ticket(SMALL, "greedy") for _ in range(1_000)]
    modest = [Ticket(SMALL, "modest") for _ in range(3)]
    for ticket in greedy + modest:
        queue.add(ticket)
    group = queue.next_group(hold=False)
    assert len(group) == contract.BATCH_ENTRIES
    assert [ticket for ticket in group if ticket.client == "modest"] == modest
    assert group.index(modest[-1]) < 6
    ours = [ticket for ticket in group if ticket.client == "greedy"]
    assert ours == greedy[: len(ours)]


async def test_of_more_clients_than_fit_all_come_in_turn() -> None:
    queue = ActionQueue(10_000)
    for client in range(200):
        added(queue, 3, f"c-{client}")
    served = [ticket.client for _ in range(3) for ticket in queue.next_group(hold=False)]
    assert {served.count(f"c-{client}") for client in range(200)} == {1, 2}


async def test_what_was_put_back_goes_first_and_alone_and_can_be_withdrawn() -> None:
    queue = ActionQueue(10_000)
    first, second, third = (Ticket(SMALL) for _ in range(3))
    first.tx_hash = second.tx_hash = "AB"
    queue.add(third)
    queue.put_back([first, second])
    assert {first.tx_hash, second.tx_hash} == {None}
    assert queue.withdraw(second)
    assert not queue.withdraw(second)
    assert queue.next_group(hold=True) == [first]
    assert queue.withdraw(third)
    assert len(queue) == 0
    assert queue.next_group(hold=False) == []


async def test_clear_takes_out_everything() -> None:
    queue = ActionQueue(3)
    tickets = [Ticket(SMALL, "a"), Ticket(SMALL, "b")]
    for ticket in tickets:
        queue.add(ticket)
    queue.put_back([Ticket(SMALL)])
    assert len(queue.clear()) == 3
    assert len(queue) == 0
    added(queue, 1, "a")
