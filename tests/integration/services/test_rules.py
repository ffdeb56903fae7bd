"""The contract's rules as clients of the API see them, on a real node."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from node_harness import Node

from workflow_backend.items import record_digest

from .stack import NEWEST, Stack, change, eventually, fresh_stack, operate, projection

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(node: Node, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """API and projector on the newest contract, without a processor."""
    async with fresh_stack(node, tmp_path_factory.mktemp("rules"), NEWEST) as stack:
        stack.start("projector", "api")
        await stack.ready()
        yield stack


async def post(stack: Stack, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    status, answer, _ = await stack.request("POST", path, body)
    return status, answer


async def submit(stack: Stack, item_id: str, **rules: Any) -> dict[str, Any]:
    status, answer = await post(stack, "/items", item_id=item_id, payload_uri="p", **rules)
    assert status == 201, answer
    item: dict[str, Any] = answer["item"]
    return item


async def projected(stack: Stack, item_id: str, status: str) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        row = (await stack.get(f"/items/{item_id}"))["projection"]
        return row if row and row["status"] == status else None

    return await eventually(there, f"{item_id} as {status} in the projection")


async def test_item_has_the_rules_that_it_was_submitted_with(stack: Stack) -> None:
    await submit(stack, "first")
    rules = {"priority": 2, "not_before": "2030-01-01T00:00:00.5Z", "after": ["first"]}
    item = await submit(stack, "ruled", **rules)
    assert (item["priority"], item["after"], item["revision"]) == (2, ["first"], 1)
    assert item["not_before"] == "2030-01-01T00:00:01.000000Z"  # never before what was asked for
    assert await submit(stack, "ruled", **rules) == item
    row = await projected(stack, "ruled", "submitted")
    assert {name: row[name] for name in item} == item
    listed = await stack.get("/items?priority=2")
    assert [each["item_id"] for each in listed["items"]] == ["ruled"]
    events = (await stack.get("/items/ruled/activity"))["events"]
    assert events[0]["data"]["priority"] == 2


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"priority": 10}, "priority"),
        ({"priority": -1}, "priority"),
        ({"not_before": "1969-12-31T23:59:59Z"}, "not_before"),
        ({"not_before": "tomorrow"}, "not_before"),
        ({"not_before": 7}, "not_before"),
        ({"after": ["a"] * 9}, "after"),
        ({"after": ["a b"]}, "after.0"),
        ({"after": "first"}, "after"),
    ],
)
async def test_rule_that_makes_no_sense_is_refused_by_name(
    stack: Stack, rules: dict[str, Any], field: str
) -> None:
    status, answer = await post(stack, "/items", item_id="odd", payload_uri="p", **rules)
    assert (status, answer["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize("after", ["none", "own"])
async def test_item_can_not_come_after_one_that_is_not_there(stack: Stack, after: str) -> None:
    status, answer = await post(stack, "/items", item_id="own", payload_uri="p", after=[after])
    assert status == 422
    assert "after names an item that is not there" in answer["detail"]


async def test_stop_cancels_a_submitted_item(stack: Stack) -> None:
    await submit(stack, "stopped")
    status, answer = await post(stack, "/items/stopped/stop", reason="changed my mind")
    assert (status, answer["item"]["status"]) == (200, "cancelled")
    assert answer["item"]["failure_reason"] == "changed my mind"
    assert (await post(stack, "/items/stopped/stop"))[0] == 409
    assert (await post(stack, "/items/no-such-item/stop"))[0] == 404


async def test_archived_item_stays_whole_for_those_who_ask(stack: Stack, node: Node) -> None:
    await submit(stack, "old", priority=1)
    await post(stack, "/items/old/cancel", reason="over")
    before = (await stack.get("/items/old"))["item"]
    await operate(node, stack.contract, "set_retention", seconds=1)
    await operate(node, stack.contract, "archive_items", item_ids=["old"])  # the clock starts
    record = node.query(f"/get/{stack.contract}.items:old")

    async def archived() -> bool:
        await operate(node, stack.contract, "archive_items", item_ids=["old"])
        return bool(node.query(f"/get/{stack.contract}.items:old")["status"] == "archived")

    await eventually(archived, "the archive")
    row = await projected(stack, "old", "archived")
    assert (row["ended"], row["priority"], row["failure_reason"]) == ("cancelled", 1, "over")
    assert record_digest(row["archived_record"]) == row["digest"] == record_digest(record)
    item = (await stack.get("/items/old"))["item"]
    assert {name: item[name] for name in ("requester", "payload_uri", "created_at")} == {
        name: before[name] for name in ("requester", "payload_uri", "created_at")
    }
    assert (await stack.get("/projection/summary"))["archived_count"] == 1
    listed = (await stack.get("/items?status=archived"))["items"]
    assert [each["item_id"] for each in listed] == ["old"]
    status, answer = await post(stack, "/items", item_id="old", payload_uri="other")
    assert (status, "item old" in answer["detail"]) == (409, True)
    assert await submit(stack, "old", priority=1)  # the same request has the first answer


async def test_projection_made_anew_has_archived_items_as_before(stack: Stack) -> None:
    assert (await projection(stack, "verify"))[:2] == (0, [])
    before = (await stack.get("/items?limit=500"))["items"]
    assert (await projection(stack, "rebuild"))[0] == 0
    assert (await stack.get("/items?limit=500"))["items"] == before
    assert (await projection(stack, "verify"))[:2] == (0, [])


async def test_archived_record_that_was_changed_is_put_right(stack: Stack) -> None:
    changed = json.dumps({"item_id": "old", "status": "completed"})
    change(stack, f"UPDATE items SET archived_record = '{changed}' WHERE item_id = 'old'")  # noqa: S608

    async def right() -> bool:
        row = (await stack.get("/items/old"))["projection"]
        return bool(record_digest(row["archived_record"]) == row["digest"])

    await eventually(right, "the record that the digest proves")


async def test_first_version_refuses_its_lacks_by_name(node: Node, tmp_path: Path) -> None:
    async with fresh_stack(node, tmp_path) as first:
        first.start("projector", "api")
        await first.ready()
        status, answer = await post(first, "/items", item_id="a", payload_uri="p", priority=1)
        assert (status, answer["detail"]) == (409, "the chain's contract has no priority")
        await submit(first, "b", priority=5, after=[], not_before=None)
        status, answer = await post(first, "/items/b/stop")
        assert (status, answer["detail"]) == (409, "the chain's contract has no stop")
