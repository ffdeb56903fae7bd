"""Batches, waiting, retry, lists by cursor, the live stream and metrics."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest

from workflow_backend.times import rfc3339

from .stack import Stack, eventually


def submissions(prefix: str, number: int, **fields: str) -> list[dict[str, str]]:
    return [
        {"item_id": f"{prefix}-{n}", "payload_uri": f"uri:{n}", **fields} for n in range(number)
    ]


async def listed(stack: Stack, query: str, number: int) -> list[dict[str, Any]]:
    """Wait until a list has so many items; follow its cursors."""
    rows: list[dict[str, Any]] = []

    async def all_there() -> bool:
        rows.clear()
        cursor: str | None = ""
        while cursor is not None:
            path = f"/items?limit=7&{query}" + (f"&cursor={cursor}" if cursor else "")
            page = await stack.get(path)
            assert page["count"] == len(page["items"]) <= 7
            rows.extend(page["items"])
            cursor = page["next_cursor"]
        return len(rows) >= number

    await eventually(all_there, f"{number} items of {query}")
    return rows


async def test_a_batch_says_of_each_entry_what_became_of_it(api: Stack) -> None:
    first = submissions("batch", 200)
    status, body, _ = await api.request("POST", "/items/batch", {"items": first})
    assert (status, body["accepted"], body["refused"]) == (200, 200, 0)
    mixed = [*first[:2], first[2] | {"kind": "other"}, *submissions("batch-new", 1)]
    _, body, _ = await api.request("POST", "/items/batch", {"items": mixed})
    assert [entry["item_id"] for entry in body["results"]] == [e["item_id"] for e in mixed]
    assert [bool(entry["accepted"]) for entry in body["results"]] == [True, True, False, True]
    assert body["results"][2]["refusal"]["status"] == 409


async def test_a_batch_has_500_entries_at_most_and_each_is_checked(api: Stack) -> None:
    status, body, _ = await api.request("POST", "/items/batch", {"items": submissions("many", 501)})
    assert status == 422
    assert body["errors"][0]["field"] == "items"
    bad = submissions("bad", 3)
    bad[1]["item_id"] = "a b"
    status, body, _ = await api.request("POST", "/items/batch", {"items": bad})
    assert (status, body["accepted"], body["refused"]) == (200, 2, 1)
    assert body["results"][1]["refusal"]["errors"][0]["field"] == "item_id"


async def test_lists_are_whole_over_their_pages_and_filtered(api: Stack) -> None:
    await api.request("POST", "/items/batch", {"items": submissions("list", 20, kind="red")})
    await api.request("POST", "/items/batch", {"items": submissions("other", 3, kind="blue")})
    rows = await listed(api, "kind=red", 20)
    assert sorted(row["item_id"] for row in rows) == sorted(f"list-{n}" for n in range(20))
    assert len(await listed(api, "id_prefix=other-", 3)) == 3
    assert len(await listed(api, "kind=red&id_prefix=list-1", 11)) == 11
    assert await listed(api, "kind=red&worker=nobody", 0) == []
    requester = rows[0]["requester"]
    assert len(await listed(api, f"kind=blue&requester={requester}", 3)) == 3
    assert await listed(api, "kind=red&created_from=2999-01-01T00:00:00Z", 0) == []
    assert len(await listed(api, "kind=red&created_from=2020-01-01T00:00:00Z", 20)) == 20


async def test_each_filter_of_each_list(running: Stack) -> None:
    for n in range(3):
        body = {"item_id": f"each-{n}", "payload_uri": "uri", "metadata_ref": "m"}
        assert (await running.request("POST", "/items?wait=completed", body))[0] == 201
    body = {"item_id": "each-open", "payload_uri": "uri", "kind": "unhandled"}
    requester = (await running.request("POST", "/items", body))[1]["item"]["requester"]

    async def found(query: str, path: str = "/activity/recent") -> list[tuple[str, str]]:
        events = (await running.get(f"{path}?{query}"))["events"]
        return [(event["item_id"], event["event_name"]) for event in events]

    async def all_listed() -> bool:
        return len(await found("id_prefix=each-")) == 10

    await eventually(all_listed, "the events of four items")
    completed = [(f"each-{n}", "ItemCompleted") for n in (2, 1, 0)]
    claimed = [(f"each-{n}", "ItemClaimed") for n in (2, 1, 0)]
    assert await found("id_prefix=each-&status=completed") == completed
    assert await found("id_prefix=each-&event_name=ItemClaimed") == claimed
    assert await found("kind=unhandled") == [("each-open", "ItemSubmitted")]
    assert len(await found(f"id_prefix=each-&requester={requester}")) == 10
    assert await found("requester=nobody") == []
    worker = f"worker={running.worker}"
    assert sorted(await found(f"id_prefix=each-&{worker}")) == sorted(claimed + completed)
    assert await found("id_prefix=each-&worker=nobody") == []

    path = "/items/each-1/activity"
    assert await found("status=processing", path) == [claimed[1]]
    assert await found(worker, path) == [completed[1], claimed[1]]
    assert await found("kind=unhandled", path) == []
    first = await running.get(f"{path}?limit=2")
    rest = await running.get(f"{path}?limit=2&cursor={first['next_cursor']}")
    names = [event["event_name"] for page in (first, rest) for event in page["events"]]
    assert names == ["ItemCompleted", "ItemClaimed", "ItemSubmitted"]
    assert rest["next_cursor"] is None

    # A range begins with its first time and ends before its second; records tell times in UTC.
    when = first["events"][0]["created"]
    behind = datetime.fromisoformat(when) + timedelta(microseconds=1)
    between = f"created_from={when}&created_before={rfc3339(behind)}"
    assert await found(f"id_prefix=each-&{between}") == [completed[1]]
    assert completed[1] not in await found(f"id_prefix=each-&created_before={when}")
    assert await found(f"created_from={when}&status=completed", path) == [completed[1]]
    assert await found(f"created_before={when}&status=completed", path) == []

    record = (await running.get("/items/each-1"))["item"]
    made, changed = record["created_at"], record["updated_at"]
    for query, expected in (
        (f"updated_from={changed}", ["each-2", "each-1"]),
        (f"updated_from={changed}&updated_before={changed}", []),
        (f"updated_before={changed}", ["each-0"]),
        (f"created_from={made}", ["each-2", "each-1"]),
        (f"created_before={made}", ["each-0"]),
    ):
        page = await running.get(f"/items?status=completed&{query}")
        listed = [row["item_id"] for row in page["items"] if row["item_id"].startswith("each-")]
        assert listed == expected, query


async def test_a_cursor_of_another_kind_is_refused(api: Stack) -> None:
    status, body, _ = await api.request("GET", "/items?cursor=nonsense")
    assert status == 422
    assert "cursor" in body["detail"]


@pytest.mark.parametrize("field", ["kind", "requester", "worker"])
async def test_a_filter_that_nothing_can_match_is_refused(api: Stack, field: str) -> None:
    for path in ("/items", "/activity/recent"):
        for value in ("a%00b", "x" * 129):
            status, body, _ = await api.request("GET", f"{path}?{field}={value}")
            assert (status, body["errors"][0]["field"]) == (422, field)


async def test_a_submission_may_wait_until_it_is_completed(running: Stack) -> None:
    body = {"item_id": "wait-1", "payload_uri": "uri:1"}
    status, answer, _ = await running.request("POST", "/items?wait=completed&timeout=30", body)
    assert (status, answer["item"]["status"]) == (201, "completed")
    view = await running.get("/items/wait-1?wait=completed")
    assert view["item"]["result_uri"] == "uri:1"


async def test_a_wait_ends_with_its_timeout(api: Stack) -> None:
    body = {"item_id": "patience-1", "payload_uri": "uri:1"}
    status, answer, _ = await api.request("POST", "/items?wait=completed&timeout=0.2", body)
    assert (status, answer["item"]["status"]) == (201, "submitted")
    view = await api.get("/items/patience-1?wait=completed&timeout=0.2")
    assert view["item"]["status"] == "submitted"
    assert (await api.request("GET", "/items/patience-1?wait=completed&timeout=0"))[0] == 422


async def test_only_a_failed_item_is_retried(api: Stack) -> None:
    await api.request("POST", "/items", {"item_id": "retry-1", "payload_uri": "uri:1"})
    status, body, _ = await api.request("POST", "/items/retry-1/retry")
    assert status == 409
    assert "submitted" in body["detail"]
    assert (await api.request("POST", "/items/retry-none/retry"))[0] == 404


async def messages(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream, as a browser would take them."""
    fields: dict[str, str] = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield {"id": fields["id"], **json.loads(fields["data"])}
            fields = {}


async def test_the_stream_tells_each_event_and_resumes_where_it_broke_off(running: Stack) -> None:
    seen: list[dict[str, Any]] = []

    async def follow(until: str, last: str) -> None:
        async with (
            asyncio.timeout(60),
            aiohttp.ClientSession() as session,
            session.get(f"{running.url}/stream", headers={"Last-Event-ID": last}) as response,
        ):
            assert response.headers["Content-Type"].startswith("text/event-stream")
            async for message in messages(response):
                seen.append(message)
                if (message["item_id"], message["event_name"]) == (until, "ItemCompleted"):
                    return

    following = asyncio.create_task(follow("stream-1", "0"))
    await running.request("POST", "/items", {"item_id": "stream-1", "payload_uri": "uri:1"})
    await following
    await running.request(
        "POST", "/items?wait=completed", {"item_id": "stream-2", "payload_uri": "uri:2"}
    )
    await follow("stream-2", seen[-1]["id"])
    ids = [tuple(int(part) for part in message["event_id"].split("-")) for message in seen]
    assert ids == sorted(set(ids))
    for item_id in ("stream-1", "stream-2"):
        listed = [message["event_name"] for message in seen if message["item_id"] == item_id]
        assert listed == ["ItemSubmitted", "ItemClaimed", "ItemCompleted"]


async def test_a_wrong_stream_position_is_refused(api: Stack) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{api.url}/stream", headers={"Last-Event-ID": "yesterday"}) as response,
    ):
        assert response.status == 422


async def test_an_open_stream_does_not_keep_the_api_from_ending(running: Stack) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{running.url}/stream", headers={"Last-Event-ID": "0"}) as response,
    ):
        await response.content.readline()
        code = await asyncio.to_thread(running.end, "api", signal.SIGTERM)
    assert code == 0
    running.start("api")
    await running.ready()


async def test_metrics_count_what_was_answered(api: Stack) -> None:
    await api.request("GET", "/items/metrics-none")

    async def text() -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{api.url}/metrics") as response,
        ):
            assert response.status == 200
            return await response.text()

    listed = await text()
    line = 'xian_workflow_api_requests_total{method="GET",route="/items/{item_id}",status="404"}'
    assert line in listed
    assert 'xian_workflow_items{status="submitted"}' in listed
    assert 'xian_workflow_height{of="projection"}' in listed


async def test_live_and_ready_answer_for_a_load_balancer(api: Stack) -> None:
    assert (await api.get("/health/live"))["status"] == "ok"

    async def ready() -> bool:
        return (await api.request("GET", "/health/ready"))[0] == 200

    await eventually(ready, "readiness")
