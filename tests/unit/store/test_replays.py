"""Whatever is repeated, broken off or done by two: the rows are those of a model in memory."""

from contextlib import suppress
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_backend.errors import ProjectionMoved
from workflow_backend.items import START, STATUSES, Event, EventPosition, Item
from workflow_backend.store.archived_items import item_of
from workflow_backend.store.base import Change, ClientScope, EventFilter, ItemFilter, WritableStore

from .databases import Database
from .records import change, event, item, text

NAMES = dict(
    zip(
        STATUSES,
        (
            "ItemSubmitted",
            "ItemClaimed",
            "ItemCompleted",
            "ItemFailed",
            "ItemCancelled",
            "ItemArchived",
        ),
        strict=True,
    )
)


class Chain:
    """The chain and its index: every event there was, and every record an item had."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.history: dict[str, list[Item]] = {}

    def go_on(self, item_id: str, status: str) -> None:
        height = len(self.events) + 1
        history = self.history.setdefault(item_id, [])
        if history:
            attempt = history[-1].attempt + (status == "processing")
            now = replace(history[-1], status=status, updated_at=text(height), attempt=attempt)
        else:
            now = item(item_id, height, client="shop" if item_id < "c" else "")
        history.append(now)
        self.events.append(event(height, item_id, NAMES[now.status], tx=height % 2))

    def page(self, since: EventPosition, length: int) -> Change:
        """What a projector at a position reads: events behind it, and records as they are now."""
        events = [each for each in self.events if each.position > since][:length]
        touched = dict.fromkeys(each.item_id for each in events)
        records = [self.history[item_id][-1] for item_id in touched if item_id]
        return change(since, events, records, height=len(self.events))


class Projectors:
    """Two projectors of one projection. Each remembers every page that it ever read."""

    def __init__(self, database: Database, chain: Chain) -> None:
        self.database = database
        self.chain = chain
        self.stores: list[WritableStore] = []
        self.positions = [START, START]
        self.pages: list[Change] = []

    async def start(self, number: int) -> None:
        """Begin as after a kill: nothing is known but what the projection says."""
        if len(self.stores) > number:
            await self.stores[number].close()
            self.stores[number] = self.database.store()
        else:
            self.stores.append(self.database.store())
        await self.stores[number].prepare()
        self.positions[number] = (await self.stores[number].cursor()).position

    async def read(self, number: int, length: int) -> Change:
        page = self.chain.page(self.positions[number], length)
        self.pages.append(page)
        return page

    async def apply(self, number: int, page: Change) -> None:
        try:
            await self.stores[number].apply(page)
            self.positions[number] = page.cursor.position
        except ProjectionMoved:
            self.positions[number] = (await self.stores[number].cursor()).position

    async def step(self, number: int, length: int) -> None:
        await self.apply(number, await self.read(number, length))

    async def break_off(self, number: int, length: int) -> None:
        """Fail in the middle of a page, its events written."""
        page = self.chain.page(self.positions[number], length)
        if page.items:
            broken = replace(page.items[-1], payload_uri=None)  # type: ignore[arg-type]
            with suppress(Exception):
                await self.stores[number].apply(replace(page, items=[*page.items[:-1], broken]))

    async def replay(self, number: int, which: int) -> None:
        """Apply a page again that anybody once read, with the records of that time."""
        if self.pages:
            with suppress(ProjectionMoved):
                await self.stores[number].apply(self.pages[which % len(self.pages)])


who = st.integers(0, 1)
length = st.integers(1, 9)
chain_goes_on = st.tuples(
    st.just("go_on"), st.sampled_from(("a", "b", "c", "d", "e")), st.sampled_from(STATUSES[1:])
)
happenings = st.lists(
    st.one_of(
        chain_goes_on,
        chain_goes_on,
        st.tuples(st.just("step"), who, length),
        st.tuples(st.just("read"), who, length),
        st.tuples(st.just("break_off"), who, length),
        st.tuples(st.just("replay"), who, st.integers(0, 99)),
        st.tuples(st.just("start"), who),
    ),
    max_size=40,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(happenings=happenings)
async def test_store_matches_model_under_replays(
    database: Database, happenings: list[tuple[str, object, object]]
) -> None:
    await database.empty()
    chain = Chain()
    projectors = Projectors(database, chain)
    await projectors.start(0)
    await projectors.start(1)
    for name, *arguments in happenings:
        if name == "go_on":
            chain.go_on(*arguments)  # type: ignore[arg-type]
        else:
            await getattr(projectors, name)(*arguments)
            await holds_together(projectors.stores[0], chain)
    for number in (0, 1, 0):
        await projectors.start(number)
        await projectors.step(number, 1_000)
    await is_level(projectors.stores[0], chain)
    for store in projectors.stores:
        await store.close()


async def holds_together(store: WritableStore, chain: Chain) -> None:
    """The events are those up to the cursor, and no record is older than its last event."""
    position = (await store.cursor()).position
    events = [each for each in chain.events if each.position <= position]
    listed = (await store.events(EventFilter(), 1_000)).rows
    assert [row["event_id"] for row in listed] == [str(each.position) for each in reversed(events)]
    rows = {row["item_id"]: row for row in (await store.items(ItemFilter(), 1_000)).rows}
    assert rows.keys() == {each.item_id for each in events}
    for item_id, row in rows.items():
        number = sum(each.item_id == item_id for each in events)
        assert item_of(row) in chain.history[item_id][number - 1 :]


async def is_level(store: WritableStore, chain: Chain) -> None:
    await holds_together(store, chain)
    newest = {item_id: history[-1] for item_id, history in chain.history.items()}
    items = (await store.items(ItemFilter(), 1_000)).rows
    assert [item_of(row) for row in items] == [*reversed(newest.values())]
    statuses = [each.status for each in newest.values()]
    assert await store.counts() == {status: statuses.count(status) for status in STATUSES}
    assert all(counted == there for counted, there in (await store.audit_counts()).values())
    shop = await store.counts(ClientScope("shop", ("a" * 64,)))
    assert sum(shop.values()) == sum(each.client == "shop" for each in newest.values())
    assert (await store.progress()).height == len(chain.events)
    assert (await store.cursor()).position == (chain.events[-1].position if chain.events else START)
