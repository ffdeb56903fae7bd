"""Clients that know only what the pack has: of its contract by the SDK, and of its API."""

from typing import Any

import pytest
from node_harness import Node
from processes import wait_until
from xian_py import Wallet, XianAsync

from workflow_backend.items import STATUSES

from .stack import Stack, deploy, eventually

CONTRACT = "con_pack_client"
FIELDS = {
    "item_id",
    "requester",
    "kind",
    "payload_uri",
    "metadata_ref",
    "status",
    "worker",
    "result_uri",
    "failure_reason",
    "created_at",
    "updated_at",
}


async def test_the_packs_client_works_unchanged(node: Node) -> None:
    worker = Wallet()
    await deploy(node, CONTRACT, [])

    async def send(client: XianAsync, function: str, **kwargs: Any) -> bool:
        sent = await client.send_tx(CONTRACT, function, kwargs, mode="checktx", wait_for_tx=True)
        return bool(sent.finalized and sent.receipt.success)

    async with (
        XianAsync(node.url, chain_id=node.chain_id, wallet=Wallet(node.operator_key)) as operator,
        XianAsync(node.url, chain_id=node.chain_id, wallet=Wallet()) as requester,
        XianAsync(node.url, chain_id=node.chain_id, wallet=worker) as works,
    ):
        assert await send(operator, "add_worker", account=worker.public_key)
        assert await operator.call(CONTRACT, "is_worker", {"account": worker.public_key}) is True
        for item_id in ("done", "failed", "cancelled"):
            assert await send(
                requester, "submit_item", item_id=item_id, payload_uri="uri:1", kind="job"
            )
        assert await send(requester, "cancel_item", item_id="cancelled", reason="not needed")
        for item_id in ("done", "failed"):
            assert await send(works, "claim_item", item_id=item_id)
        assert await send(works, "complete_item", item_id="done", result_uri="uri:2")
        assert await send(works, "fail_item", item_id="failed", reason="no paper")
        item = await requester.call(CONTRACT, "get_item", {"item_id": "done"})
        unknown = await requester.call(CONTRACT, "get_item", {"item_id": "unknown"})
        assert set(item) >= FIELDS
        assert (item["status"], item["worker"]) == ("completed", worker.public_key)
        assert item["requester"] == requester.wallet.public_key
        assert unknown["status"] is None
        assert set(unknown) == set(item)
        wait_until(node.index_level, 30, "a level index")
        counts = {
            "ItemSubmitted": 3,
            "ItemClaimed": 2,
            "ItemCompleted": 1,
            "ItemFailed": 1,
            "ItemCancelled": 1,
            "WorkerAdded": 1,
        }
        for event, number in counts.items():
            assert len(await requester.list_events(CONTRACT, event)) == number


API_FIELDS = {
    "/health": {"network", "height", "catching_up", "workflow_contract", "projection"},
    "/projection/health": {"workflow_contract", "last_event_id", "item_count", "activity_count"},
    "/projection/summary": {
        "workflow_contract",
        "item_count",
        *(f"{status}_count" for status in STATUSES),
        "activity_count",
        "last_event_id",
    },
    "/items": {"count", "items"},
    "/items/pack-done": {"item", "projection", "recent_activity"},
    "/items/pack-done/activity": {"item_id", "count", "events"},
    "/activity/recent": {"count", "events"},
}
"""What the pack's API answers on each of its routes. Not here: a projection's path and size, which
are its operator's, the cursors that it keeps by event name, and an event's row of the index."""

EVENT = {"event_id", "event_name", "tx_hash", "block_height", "item_id", "actor", "created"}


@pytest.mark.asyncio(loop_scope="module")
async def test_api_answers_the_packs_client_field_by_field(running: Stack) -> None:
    for item_id, kind in (("pack-done", "job"), ("pack-open", "unhandled")):
        body = {"item_id": item_id, "payload_uri": "uri:x", "kind": kind, "metadata_ref": ""}
        status, accepted, _ = await running.request("POST", "/items", body)
        assert (status, accepted["finalized"], len(accepted["tx_hash"])) == (201, True, 64)
    status, accepted, _ = await running.request(
        "POST", "/items/pack-open/cancel", {"reason": "not needed"}
    )
    assert (status, accepted["finalized"], len(accepted["tx_hash"])) == (200, True, 64)

    async def projected() -> bool:
        # Health is kept for a moment: it is the last of all to know.
        health = (await running.get("/health"))["projection"]
        newest = (await running.get("/projection/summary"))["last_event_id"]
        return bool(health["activity_count"] == 5 and health["last_event_id"] == newest)

    await eventually(projected, "five events")
    answers = {path: await running.get(path) for path in API_FIELDS}
    for path, fields in API_FIELDS.items():
        assert answers[path].keys() >= fields, path

    health, summary = answers["/health"], answers["/projection/summary"]
    assert (health["network"], health["workflow_contract"]) == (running.chain_id, running.contract)
    assert (health["catching_up"], health["height"] > 0) == (False, True)
    counts = {name: summary[name] for name in ("item_count", "activity_count", "last_event_id")}
    assert (counts["item_count"], counts["activity_count"]) == (2, 5)
    assert health["projection"] == counts
    assert answers["/projection/health"].items() >= counts.items()
    assert (summary["completed_count"], summary["cancelled_count"]) == (1, 1)
    assert (summary["submitted_count"], summary["processing_count"], summary["failed_count"]) == (
        0,
        0,
        0,
    )

    view, listed = answers["/items/pack-done"], answers["/items"]["items"]
    assert view["item"].keys() >= FIELDS
    assert all(row.keys() >= FIELDS | {"last_event_id"} for row in [view["projection"], *listed])
    events = answers["/activity/recent"]["events"]
    for event in [*events, *view["recent_activity"]]:
        assert event.keys() >= EVENT
    requester, worker = view["item"]["requester"], running.worker
    assert [
        (event["event_name"], event["actor"])
        for event in reversed(answers["/items/pack-done/activity"]["events"])
    ] == [("ItemSubmitted", requester), ("ItemClaimed", worker), ("ItemCompleted", worker)]
    assert view["projection"]["last_event_id"] == view["recent_activity"][0]["event_id"]

    # Its pages, of one row each.
    assert await pages(running, "/items", "items", "before_event_id", "last_event_id") == listed
    assert await pages(running, "/activity/recent", "events", "before_id", "event_id") == events
    path = "/items/pack-done/activity"
    events_made = answers[path]["events"]
    assert await pages(running, path, "events", "before_id", "event_id") == events_made
    completed = await running.get("/items?limit=50&status=completed")
    assert [row["item_id"] for row in completed["items"]] == ["pack-done"]


async def pages(stack: Stack, path: str, rows: str, before: str, cursor: str) -> list[Any]:
    """Read a list by the pack's way to page."""
    found: list[Any] = (await stack.get(f"{path}?limit=1"))[rows]
    while page := (await stack.get(f"{path}?limit=1&{before}={found[-1][cursor]}"))[rows]:
        found += page
    return found
