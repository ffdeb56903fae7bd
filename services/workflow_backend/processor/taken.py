"""The items that this process has in its hands: being looked at, being claimed, held."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator

from ..errors import JournalUnwritable
from ..outage import Outage
from .journal import Journal, Open


class Taken(Collection[str]):
    """Nobody else changes what the journal says of them, until they are put down.

    An item that is submitted anew meanwhile (its requester retries it in the moment in which its
    failure is reported) is touched, and is looked at once more when it is put down as settled.
    One that others settled before that, while this process was frozen, begins anew.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._outage = Outage("the journal is written again")
        self._unsaved: list[tuple[list[Open], list[str]]] = []
        self._ids: set[str] = set()
        self._touched: set[str] = set()
        self._settled: set[str] = set()

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def take(self, item_ids: Iterable[str]) -> None:
        """Take items that the journal has marked as taken."""
        self._ids.update(item_ids)

    def touch(self, item_id: str) -> None:
        """Take note that a taken item is submitted anew."""
        self._touched.add(item_id)

    def settle(self, item_id: str) -> None:
        """Take note that a taken item is settled on the chain."""
        self._settled.add(item_id)

    def put_down(self, opened: Collection[Open], settled: Iterable[str] = ()) -> None:
        """Put items down: open ones with the time of the next look, and settled ones."""
        again, over = list(opened), list(settled)
        again += [Open(item_id, "", 0.0) for item_id in over if item_id in self._touched]
        over += [i.item_id for i in opened if i.item_id in self._settled & self._touched]
        self._unsaved.append((again, over))
        self.save()

    def save(self) -> None:
        """Write down what was put down; what can't be written stays taken, and waits for the next.

        Else one write that fails would leave items taken for as long as this process runs.
        """
        while self._unsaved:
            again, over = self._unsaved[0]
            try:
                self._journal.put(again, over)
            except sqlite3.Error as error:
                self._outage.failed(JournalUnwritable(f"the journal can't be written: {error}"))
                return
            del self._unsaved[0]
            gone = {item.item_id for item in again}.union(over)
            self._ids -= gone
            self._touched -= gone
            self._settled -= gone
            self._outage.well()
