"""The events of the index that a projection lacks: a gap that was mended, or an earlier release."""

from collections.abc import AsyncGenerator

from ..chain.contract import ITEM_EVENTS
from ..chain.events import Cursor, EventReader
from ..chain.node import Node
from ..items import START, Event, EventPosition
from ..store.base import ProjectionProgress, Store

PAGE = 200


async def missing_events(node: Node, store: Store) -> AsyncGenerator[list[Event]]:
    """Yield for each page of the index which events up to the projection's position it lacks.

    What only the projection has is not judged: an index may begin later. Raises WorkflowError.
    """
    reader, cursor = EventReader(node, ITEM_EVENTS, PAGE), Cursor()
    while True:
        end = position_of(await store.progress())
        page = await reader.page(cursor)
        events = [event for event in page.events if event.position <= end]
        if not events:
            return
        names = await projected_events(store, cursor.position, events[-1].position, PAGE)
        # One that was put in its place meanwhile may not have come as far.
        end = position_of(await store.progress())
        yield [
            event
            for event in events
            if event.position <= end and names.get(event.position) != event.name
        ]
        cursor = page.cursor


def position_of(progress: ProjectionProgress) -> EventPosition:
    """Return the position of a projection's last event."""
    last = progress.last_event_id
    return START if last is None else EventPosition.parse(last)


async def projected_events(
    store: Store, after: EventPosition, until: EventPosition, page: int
) -> dict[EventPosition, str]:
    """Return the names of a projection's events after one position and up to another."""
    found: dict[EventPosition, str] = {}
    while after < until:
        rows = await store.events_after(after, page)
        if not rows:
            break
        found |= {EventPosition.parse(row["event_id"]): row["event_name"] for row in rows}
        after = max(found)
    return {position: name for position, name in found.items() if position <= until}
