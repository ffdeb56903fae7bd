"""Events in, open items out: what the processor learns from the index."""

import time
from collections.abc import Callable, Sequence

from ..chain.contract import ITEM_EVENTS
from ..chain.events import EventReader, Page
from ..chain.heads import Heads
from ..chain.node import Node
from ..items import Event
from .contest import OVERDUE, Contest
from .journal import Journal, Open
from .spread import Spread
from .taken import Taken

REMEMBERED = 20_000
"""Items that are known to be free by their last event."""


class Reader:
    """Keeps the journal level with the index. `me` is this processor's account."""

    def __init__(
        self,
        node: Node,
        journal: Journal,
        taken: Taken,
        spread: Spread,
        contest: Contest,
        *,
        me: str,
        lease_seconds: int,
    ) -> None:
        self._events = EventReader(node, ITEM_EVENTS)
        self._journal = journal
        self._taken = taken
        self._spread = spread
        self._contest = contest
        self._me = me
        self._lease_seconds = lease_seconds
        self._cursor = journal.cursor()
        self._fresh: dict[str, str] = {}
        self.on_open: Callable[[], None] = lambda: None

    async def step(self) -> Page:
        """Take in one page; raises WorkflowError with the journal as it was before."""
        page = await self._events.page(self._cursor)
        if page.events:
            opened, settled = self._plan(page.events)
            self._journal.read(page.cursor, opened, settled)
            self._cursor = page.cursor
            self.on_open()
        return page

    def take_fresh(self, item_ids: Sequence[str]) -> dict[str, str]:
        """Return the kinds of those that were submitted and then not heard of any more, once."""
        return {i: self._fresh.pop(i) for i in item_ids if i in self._fresh}

    async def until_more(self, page: Page, heads: Heads) -> None:
        """Wait until there is likely something behind a page."""
        await self._events.until_more(page, heads)

    def _plan(self, events: Sequence[Event]) -> tuple[list[Open], list[str]]:
        now = time.monotonic()
        kinds = self._kinds(events)
        plan: dict[str, Open] = {}
        settled: dict[str, None] = {}
        for event in events:
            item_id = event.item_id
            if item_id is None:
                continue
            taken = item_id in self._taken
            self._fresh.pop(item_id, None)
            match event.name:
                case "ItemSubmitted":
                    self._contest.forget(item_id)
                    kind = kinds[item_id] = event.data["kind"]
                    if taken:
                        self._taken.touch(item_id)
                    else:
                        due = now + self._spread.delay(item_id, kind, now)
                        plan[item_id] = Open(item_id, kind, due)
                        if len(self._fresh) < REMEMBERED:
                            self._fresh[item_id] = kind
                case "ItemClaimed":
                    worker = event.data["worker"]
                    if worker == self._me:
                        continue
                    kind = kinds.get(item_id, "")
                    self._spread.claimed(worker, kind, now)
                    self._contest.claimed(item_id, event.created_at, now)
                    if not taken:
                        plan[item_id] = Open(item_id, kind, now + self._lease_seconds * OVERDUE)
                case _:
                    self._contest.forget(item_id)
                    if taken:
                        self._taken.settle(item_id)
                    else:
                        plan.pop(item_id, None)
                        settled[item_id] = None
        # One may be in both: it was settled, and its requester retried it.
        return list(plan.values()), list(settled)

    def _kinds(self, events: Sequence[Event]) -> dict[str, str]:
        """Return the kinds of what others claimed: only a submission tells them."""
        claimed = (
            event.item_id
            for event in events
            if event.name == "ItemClaimed" and event.data["worker"] != self._me
        )
        return self._journal.kinds_of(item_id for item_id in claimed if item_id is not None)
