"""Lists against a model: every filter and every page, in each database."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_backend.errors import BadCursor
from workflow_backend.items import START, STATUSES, Event, EventPosition, Item, fingerprint
from workflow_backend.store import lists
from workflow_backend.store.base import (
    ClientScope,
    EventFilter,
    ItemFilter,
    ListPage,
    WritableStore,
)

from .records import CHAIN, CONTRACT, at, block, change, event, item

HEIGHTS = 20
KINDS, ACCOUNTS = ("job", "mail"), ("a" * 64, "b" * 64, "c" * 64)
CLIENTS = ("", "shop", "bank")

# A block holds three items, and what they have in common with others goes by counting. They were
# changed at other times than they were made.
ITEMS = [
    item(
        f"{'xy'[number % 2]}{number:03}",
        1 + number // 3,
        STATUSES[number % 5],
        kind=KINDS[number // 3 % 2],
        requester=ACCOUNTS[number // 5 % 3],
        worker=ACCOUNTS[number // 7 % 3],
        client=CLIENTS[number // 2 % 3],
    )
    for number in range(3 * HEIGHTS)
]
EVENTS = [
    event(1 + number // 3, each.item_id, tx=number % 3, worker=each.worker)
    for number, each in enumerate(ITEMS)
] + [
    event(HEIGHTS + 1 + number // 3, each.item_id, "ItemClaimed", number % 3, worker=each.worker)
    for number, each in enumerate(ITEMS[7 * number % len(ITEMS)] for number in range(len(ITEMS)))
]
CREATED = {each.item_id: each.position.height for each in EVENTS[: len(ITEMS)]}
CHANGED = {each.item_id: each.position for each in EVENTS[len(ITEMS) :]}


def optional(values: tuple[str, ...]) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


times = st.none() | st.integers(0, 2 * HEIGHTS + 2).map(at)
scope = st.none() | st.builds(
    ClientScope,
    client=st.sampled_from(("shop", "bank", "none")),
    requesters=st.sets(st.sampled_from(ACCOUNTS), min_size=1).map(lambda some: tuple(sorted(some))),
)
item_filters = st.builds(
    ItemFilter,
    status=optional(STATUSES),
    kind=optional(KINDS),
    requester=optional(ACCOUNTS),
    worker=optional(ACCOUNTS),
    id_prefix=optional(("", "x", "y0", "z")),
    created_from=times,
    created_before=times,
    updated_from=times,
    updated_before=times,
    scope=scope,
)
event_filters = st.builds(
    EventFilter,
    item_id=optional(("x000", "y011", "none")),
    name=optional(("ItemSubmitted", "ItemClaimed")),
    kind=optional(KINDS),
    requester=optional(ACCOUNTS),
    worker=optional(ACCOUNTS),
    id_prefix=optional(("x", "y0", "z")),
    created_from=times,
    created_before=times,
    scope=scope,
)
examples = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
async def filled(store: WritableStore, monkeypatch: pytest.MonkeyPatch) -> WritableStore:
    """A projection of all of them, in which a page looks through eleven rows."""
    monkeypatch.setattr(lists, "SCAN_LIMIT", 11)
    await store.apply(change(START, EVENTS, ITEMS))
    return store


def encoded(cursor: Any) -> str:
    return urlsafe_b64encode(json.dumps(cursor).encode()).decode()


async def all_pages(page: Callable[[int, str | None], Any], limit: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        listed: ListPage = await page(limit, cursor)
        assert len(listed.rows) <= limit
        rows += listed.rows
        cursor = listed.next_cursor
        if cursor is None:
            return rows


def in_range(height: int, first: datetime | None, behind: datetime | None) -> bool:
    moment = datetime.fromisoformat(block(height).time)
    return (first is None or moment >= first) and (behind is None or moment < behind)


def expected_items(which: ItemFilter) -> list[Item]:
    equal = ("status", "kind", "requester", "worker")
    found = [
        each
        for each in ITEMS
        if all(getattr(which, name) in (None, getattr(each, name)) for name in equal)
        and each.item_id.startswith(which.id_prefix or "")
        and in_range(CREATED[each.item_id], which.created_from, which.created_before)
        and in_range(CHANGED[each.item_id].height, which.updated_from, which.updated_before)
        and (which.scope is None or which.scope.contains(each.as_dict()))
    ]
    if which.id_prefix is not None:
        return sorted(found, key=lambda each: each.item_id)
    found.reverse()
    if which.updated_from or which.updated_before:
        found.sort(key=lambda each: CHANGED[each.item_id], reverse=True)
    return found


def expected_events(which: EventFilter) -> list[Event]:
    records = {each.item_id: each for each in ITEMS}

    def fits(each: Event) -> bool:
        assert each.item_id is not None
        record = records[each.item_id]
        return (
            which.item_id in (None, each.item_id)
            and which.name in (None, each.name)
            and which.kind in (None, record.kind)
            and which.requester in (None, record.requester)
            and which.worker in (None, record.worker)
            and each.item_id.startswith(which.id_prefix or "")
            and in_range(each.position.height, which.created_from, which.created_before)
            and (which.scope is None or which.scope.contains(record.as_dict()))
        )

    return [each for each in reversed(EVENTS) if fits(each)]


@examples
@given(which=item_filters, limit=st.integers(1, 15))
async def test_item_pages_match_filter(
    filled: WritableStore, which: ItemFilter, limit: int
) -> None:
    rows = await all_pages(lambda limit, cursor: filled.items(which, limit, cursor), limit)
    assert rows == [
        each.as_dict()
        | {
            "created_time": block(CREATED[each.item_id]).time,
            "updated_time": block(CHANGED[each.item_id].height).time,
            "last_event_id": str(CHANGED[each.item_id]),
            "blocked_by": (),
        }
        for each in expected_items(which)
    ]


@examples
@given(which=event_filters, limit=st.integers(1, 15))
async def test_event_pages_match_filter(
    filled: WritableStore, which: EventFilter, limit: int
) -> None:
    rows = await all_pages(lambda limit, cursor: filled.events(which, limit, cursor), limit)
    assert [row["event_id"] for row in rows] == [
        str(each.position) for each in expected_events(which)
    ]


async def test_client_list_ignores_foreign_items(store: WritableStore) -> None:
    """Anybody may submit for any client on the chain: what others did is never looked through."""
    ours, theirs = [f"ours-{n}" for n in range(3)], [f"theirs-{n}" for n in range(1_200)]
    made = [item(name, 1, client="shop", requester="a" * 64) for name in ours]
    made += [item(name, 2, client="shop", requester="b" * 64) for name in theirs]
    made_events = [event(1 + number, each.item_id) for number, each in enumerate(made)]
    await store.apply(change(START, made_events, made))
    mine = ClientScope("shop", ("a" * 64, "c" * 64))
    for which in (
        ItemFilter(scope=mine),
        ItemFilter(scope=mine, status="submitted"),
        ItemFilter(scope=mine, updated_from=at(0)),
    ):
        page = await store.items(which, 10)
        assert [row["item_id"] for row in page.rows] == ours[::-1]
        assert page.next_cursor is None
    page = await store.items(ItemFilter(scope=mine, id_prefix=""), 10)
    assert [row["item_id"] for row in page.rows] == ours
    activity = await store.events(EventFilter(scope=mine), 10)
    assert [row["item_id"] for row in activity.rows] == ours[::-1]
    assert activity.next_cursor is None


async def test_events_after_continues_from_any_position(filled: WritableStore) -> None:
    positions: list[str] = []
    last = START
    while rows := await filled.events_after(last, 7):
        positions += [row["event_id"] for row in rows]
        last = EventPosition(*map(int, rows[-1]["event_id"].split("-")))
    assert positions == [str(each.position) for each in EVENTS]


async def test_cursor_is_stable_under_new_items(
    filled: WritableStore,
) -> None:
    first = await filled.items(ItemFilter(), 10)
    newest = event(100, "new")
    await filled.apply(change(EVENTS[-1].position, [newest], [item("new", 100)]))
    second = await filled.items(ItemFilter(), 10, first.next_cursor)
    rows = [*first.rows, *second.rows]
    assert [row["item_id"] for row in rows] == [each.item_id for each in reversed(ITEMS)][:20]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "a",
        "é",
        "AAAA",
        encoded(None),
        encoded([]),
        encoded(["items.place", 1]),
        *(
            encoded([fingerprint(CHAIN, CONTRACT), *behind])
            for behind in (
                [],
                ["items.place"],
                ["items.place", "x"],
                ["items.place", -1],
                ["items.place", 2**63],
                ["events.place", 1],
            )
        ),
    ],
)
async def test_cursor_of_another_list_is_refused(store: WritableStore, cursor: str) -> None:
    with pytest.raises(BadCursor):
        await store.items(ItemFilter(), 10, cursor)


@pytest.mark.parametrize("other", [("chain-2", CONTRACT), (CHAIN, "con_other")])
async def test_cursor_names_its_chain_and_contract(
    store: WritableStore, other: tuple[str, str]
) -> None:
    behind = ["items.place", 1]
    await store.items(ItemFilter(), 10, encoded([fingerprint(CHAIN, CONTRACT), *behind]))
    with pytest.raises(BadCursor):
        await store.items(ItemFilter(), 10, encoded([fingerprint(*other), *behind]))


async def test_cursor_is_valid_in_its_own_order_only(filled: WritableStore) -> None:
    by_time = (await filled.items(ItemFilter(), 5)).next_cursor
    by_id = (await filled.items(ItemFilter(id_prefix=""), 5)).next_cursor
    assert by_time
    assert by_id
    for which, cursor in (
        (ItemFilter(id_prefix="x"), by_time),
        (ItemFilter(updated_from=at(1)), by_time),
        (ItemFilter(), by_id),
    ):
        with pytest.raises(BadCursor):
            await filled.items(which, 5, cursor)
