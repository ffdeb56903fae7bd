"""What waits for a transaction: each client's actions in their order, the clients in turn."""

from collections import deque
from collections.abc import Sequence

from ..errors import Overloaded
from .contract import BATCH_ENTRIES
from .tickets import Ticket
from .written import LIMIT


class ActionQueue:
    """Holds at most `capacity` actions.

    A client may have as many waiting as there is room left: half of it where it is alone, a third
    where there are two, and there is always room for one more client.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._by_client: dict[str, dict[Ticket, None]] = {}
        self._returned: deque[list[Ticket]] = deque()
        self._waiting = 0

    def __len__(self) -> int:
        """How many actions wait."""
        return self._waiting + sum(len(tickets) for tickets in self._returned)

    def add(self, ticket: Ticket) -> None:
        """Let an action wait; raises Overloaded where its client has too many waiting already."""
        own = len(self._by_client.get(ticket.client, ()))
        if own >= self._capacity - self._waiting:
            whose = f"client {ticket.client!r} has" if ticket.client else "there are"
            raise Overloaded(f"{whose} {own} actions waiting for a transaction already")
        self._by_client.setdefault(ticket.client, {})[ticket] = None
        self._waiting += 1

    def put_back(self, tickets: Sequence[Ticket]) -> None:
        """Let actions that had no effect go next, in a transaction of their own."""
        for ticket in tickets:
            ticket.tx_hash = None
        self._returned.appendleft(list(tickets))

    def withdraw(self, ticket: Ticket) -> bool:
        """Take out an action; tell whether it waited here."""
        for tickets in self._returned:
            if ticket in tickets:
                tickets.remove(ticket)
                return True
        if ticket not in self._by_client.get(ticket.client, {}):
            return False
        self._remove(ticket)
        return True

    def next_group(self, *, hold: bool) -> list[Ticket]:
        """Take the actions for the next transaction; with `hold` only if more could not join them.

        The clients give one each in turn. Empty where nothing is to be sent.
        """
        while self._returned:
            tickets = self._returned.popleft()
            if tickets:
                return tickets
        picked = self._fit()
        if hold and len(picked) == self._waiting:
            return []
        for ticket in picked:
            self._remove(ticket)
        for client in {ticket.client: None for ticket in picked}:
            if client in self._by_client:  # those that had their turn go behind the others
                self._by_client[client] = self._by_client.pop(client)
        return picked

    def _fit(self) -> list[Ticket]:
        picked: list[Ticket] = []
        written = 0
        turns = deque(iter(tickets) for tickets in self._by_client.values())
        while turns and len(picked) < BATCH_ENTRIES:
            turn = turns.popleft()
            ticket = next(turn, None)
            if ticket is None:
                continue
            written += ticket.action.written
            if picked and written > LIMIT:
                break
            picked.append(ticket)
            turns.append(turn)
        return picked

    def _remove(self, ticket: Ticket) -> None:
        tickets = self._by_client[ticket.client]
        del tickets[ticket]
        if not tickets:
            del self._by_client[ticket.client]
        self._waiting -= 1

    def clear(self) -> list[Ticket]:
        """Take out everything that waits."""
        found = [ticket for tickets in self._returned for ticket in tickets]
        found += [ticket for tickets in self._by_client.values() for ticket in tickets]
        self._returned.clear()
        self._by_client.clear()
        self._waiting = 0
        return found
