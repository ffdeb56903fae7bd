"""Items that wait for others: which of those keep them waiting for good, in each database."""

import pytest

from workflow_backend.store import prerequisites
from workflow_backend.store.base import ItemFilter, WritableStore

from .records import event, first_page, item


async def test_item_is_blocked_by_what_ended_without_being_completed(store: WritableStore) -> None:
    ends = {
        "open": item("open"),
        "running": item("running", status="processing"),
        "done": item("done", status="completed"),
        "failed": item("failed", status="failed"),
        "cancelled": item("cancelled", status="cancelled"),
        "archived-done": item("archived-done", status="archived", ended="completed"),
        "archived-failed": item("archived-failed", status="archived", ended="failed"),
    }
    waiting = item("waiting", after=(*ends, "elsewhere"))
    started = item("started", status="processing", after=("failed",))
    items = [*ends.values(), waiting, started]
    events = [event(1, each.item_id, tx=number) for number, each in enumerate(items)]
    await store.apply(first_page(*events, items=items))
    row = await store.item("waiting")
    assert row is not None
    assert row["blocked_by"] == ("failed", "cancelled", "archived-failed")
    listed = (await store.items(ItemFilter())).rows
    assert [row["item_id"] for row in listed if row["blocked_by"]] == ["waiting"]


async def test_page_asks_for_all_that_its_items_wait_for(
    store: WritableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prerequisites, "IDS", 2)
    failed = [item(f"failed-{number}", status="failed") for number in range(5)]
    waiting = [item(f"waiting-{each.item_id}", after=(each.item_id,)) for each in failed]
    items = [*failed, *waiting]
    events = [event(1, each.item_id, tx=number) for number, each in enumerate(items)]
    await store.apply(first_page(*events, items=items))
    listed = (await store.items(ItemFilter(status="submitted"))).rows
    assert {row["blocked_by"] for row in listed} == {(each.item_id,) for each in failed}
