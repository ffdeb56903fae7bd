"""The items that this process has in its hands: being looked at, being claimed, held."""

from collections.abc import Collection, Iterable, Iterator

from .journal import Journal, Open


class Taken(Collection[str]):
    """Nobody else changes what the journal says of them, until they are put down.

    An item that is submitted anew meanwhile (its requester retries it in the moment in which its
    failure is reported) is touched, and is looked at once more when it is put down as settled.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._ids: set[str] = set()
        self._touched: set[str] = set()

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

    def put_down(self, opened: Iterable[Open], settled: Iterable[str] = ()) -> None:
        """Put items down: open ones with the time of the next look, and settled ones."""
        again, over = list(opened), list(settled)
        again += [Open(item_id, "", 0.0) for item_id in over if item_id in self._touched]
        self._journal.put(again, over)
        gone = {item.item_id for item in again}.union(over)
        self._ids -= gone
        self._touched -= gone
