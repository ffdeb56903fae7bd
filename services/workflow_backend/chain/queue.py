"""The queue of actions that wait for a transaction: fair between clients, in order within one."""

from collections import deque
from collections.abc import Sequence

from ..errors import Overloaded
from .contract import BATCH_ENTRIES
from .pending import PendingAction
from .write_size import MAX_WRITE_BYTES


class ActionQueue:
    """A queue of at most `capacity` actions.

    A client may have as many actions waiting as there is room left: half of the capacity if it is
    alone, a third if there are two. So there is always room for one more client.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._by_client: dict[str, dict[PendingAction, None]] = {}
        self._requeued: deque[list[PendingAction]] = deque()
        self._waiting = 0

    def __len__(self) -> int:
        """Return how many actions wait."""
        return self._waiting + sum(len(batch) for batch in self._requeued)

    def add(self, pending_action: PendingAction) -> None:
        """Add an action; raises Overloaded if too many of its client wait already."""
        own = len(self._by_client.get(pending_action.client, ()))
        if own >= self._capacity - self._waiting:
            owner = (
                f"client {pending_action.client!r} has" if pending_action.client else "there are"
            )
            raise Overloaded(f"{owner} {own} actions waiting for a transaction already")
        self._by_client.setdefault(pending_action.client, {})[pending_action] = None
        self._waiting += 1

    def requeue(self, batch: Sequence[PendingAction]) -> None:
        """Put actions that took no effect at the front, as a batch of their own."""
        for pending_action in batch:
            pending_action.tx_hash = None
        self._requeued.appendleft(list(batch))

    def withdraw(self, pending_action: PendingAction) -> bool:
        """Remove an action; return False if it is not in the queue."""
        for batch in self._requeued:
            if pending_action in batch:
                batch.remove(pending_action)
                return True
        if pending_action not in self._by_client.get(pending_action.client, {}):
            return False
        self._remove(pending_action)
        return True

    def next_batch(self, *, hold: bool) -> list[PendingAction]:
        """Remove and return the next batch, which takes one action of each client in turn.

        A transaction calls one contract, so a batch leaves actions on others to the next one.
        With `hold`, an incomplete batch stays in the queue. Empty if there is nothing to send.
        """
        while self._requeued:
            batch = self._requeued.popleft()
            if batch:
                return batch
        picked = self._fit_batch()
        if hold and len(picked) == self._waiting:
            return []
        for pending_action in picked:
            self._remove(pending_action)
        for client in {pending_action.client: None for pending_action in picked}:
            if client in self._by_client:  # clients that had a turn go to the end
                self._by_client[client] = self._by_client.pop(client)
        return picked

    def _fit_batch(self) -> list[PendingAction]:
        picked: list[PendingAction] = []
        write_size = 0
        turns = deque(iter(batch) for batch in self._by_client.values())
        while turns and len(picked) < BATCH_ENTRIES:
            turn = turns.popleft()
            pending_action = next(turn, None)
            if pending_action is None:
                continue
            turns.append(turn)
            if picked and pending_action.contract != picked[0].contract:
                continue
            write_size += pending_action.action.write_size
            if picked and write_size > MAX_WRITE_BYTES:
                break
            picked.append(pending_action)
        return picked

    def _remove(self, pending_action: PendingAction) -> None:
        batch = self._by_client[pending_action.client]
        del batch[pending_action]
        if not batch:
            del self._by_client[pending_action.client]
        self._waiting -= 1

    def clear(self) -> list[PendingAction]:
        """Remove and return all actions."""
        found = [pending_action for batch in self._requeued for pending_action in batch]
        found += [pending_action for batch in self._by_client.values() for pending_action in batch]
        self._requeued.clear()
        self._by_client.clear()
        self._waiting = 0
        return found
