"""Events in, open items out: what the processor learns from the index."""

import asyncio
import time
from collections.abc import Callable, Sequence

from ..chain.block_subscription import BlockSubscription
from ..chain.contract import ITEM_EVENTS
from ..chain.events import Cursor, EventReader, Page
from ..chain.node import Node
from ..items import DEFAULT_PRIORITY, Event
from .history_check import HistoryCheck
from .journal import Journal
from .lease_takeover import OVERDUE, LeaseTakeover
from .rendezvous_hash import RendezvousHash
from .schema import PendingItem


class EventListener:
    """Applies the events to the journal and sets `wake`.

    Where the chain was restored to an older height, it begins with the first event again: the items
    are open by their records, whatever lost events told of them.

    `me` is this worker's account. `stop` is called with each item whose holder is asked to stop.
    """

    def __init__(
        self,
        node: Node,
        journal: Journal,
        ranking: RendezvousHash,
        takeover: LeaseTakeover,
        wake: asyncio.Event,
        *,
        history: HistoryCheck,
        me: str,
        lease_seconds: int,
        stop: Callable[[str], None],
    ) -> None:
        self._events = EventReader(node, ITEM_EVENTS)
        self._journal = journal
        self._ranking = ranking
        self._takeover = takeover
        self._wake = wake
        self._me = me
        self._lease_seconds = lease_seconds
        self._stop = stop
        self._history = history
        self._cursor = journal.cursor()
        self._is_checked = False

    async def apply_next_page(self) -> Page:
        """Apply one page; raises WorkflowError with the journal as it was before."""
        if not self._is_checked:
            await self._check_history()
        page = await self._events.page(self._cursor)
        if page.height < self._cursor.position.height:
            self._is_checked = False
        elif not page.events and not self._cursor.hash:
            self._save(self._history.with_hash(self._cursor))
        if page.events:
            opened, settled = self._changes(page.events)
            completed = [e.item_id for e in page.events if e.name == "ItemCompleted" and e.item_id]
            due = time.monotonic() + self._lease_seconds * OVERDUE
            stopping = [
                (event.item_id, due)
                for event in page.events
                if event.name == "ItemStopRequested" and event.item_id
            ]
            self._journal.apply_page(page.cursor, opened, settled, completed, stopping)
            self._cursor = page.cursor
            self._wake.set()
        return page

    async def _check_history(self) -> None:
        is_gone = await self._history.is_gone(self._cursor)
        if is_gone:
            self._save(Cursor())
        self._is_checked = is_gone is not None

    def _save(self, cursor: Cursor) -> None:
        if cursor != self._cursor:
            self._journal.apply_page(cursor, [], [])
            self._cursor = cursor

    async def wait_for_more(self, page: Page, subscription: BlockSubscription) -> None:
        """Wait until there is likely something behind a page."""
        await self._events.wait_for_more(page, subscription)

    def _changes(self, events: Sequence[Event]) -> tuple[list[PendingItem], list[str]]:
        """Return what the events open, by the last one of each item, and what they settle.

        An item that is in both was settled and then retried by its requester.
        """
        now = time.monotonic()
        kinds = self._kinds(events)
        opened: dict[str, PendingItem] = {}
        settled: dict[str, None] = {}
        for event in events:
            item_id = event.item_id
            if item_id is None:
                continue
            match event.name:
                case "ItemSubmitted":
                    self._takeover.forget(item_id)
                    kind = kinds[item_id] = event.data["kind"]
                    due = now + self._ranking.delay(item_id, kind, now)
                    priority = event.data.get("priority", DEFAULT_PRIORITY)
                    opened[item_id] = PendingItem(
                        item_id, kind, due, is_fresh=True, priority=priority
                    )
                case "ItemClaimed":
                    worker, kind = event.data["worker"], kinds.get(item_id, "")
                    if worker == self._me:
                        if item_id in opened:
                            opened[item_id] = opened[item_id]._replace(is_fresh=False)
                        continue
                    self._ranking.observe_claim(worker, kind, now)
                    self._takeover.observe_claim(item_id, event.created_at, now)
                    overdue = now + self._lease_seconds * OVERDUE
                    opened[item_id] = PendingItem(item_id, kind, overdue)
                case "ItemStopRequested":
                    self._stop(item_id)
                case _:
                    self._takeover.forget(item_id)
                    opened.pop(item_id, None)
                    settled[item_id] = None
        return list(opened.values()), list(settled)

    def _kinds(self, events: Sequence[Event]) -> dict[str, str]:
        """Return the kinds of items that others claimed: only a submission's event names it."""
        claimed = (
            event.item_id
            for event in events
            if event.name == "ItemClaimed" and event.data["worker"] != self._me
        )
        return self._journal.kinds_of(item_id for item_id in claimed if item_id is not None)
