"""The API's answers, the bad ones first of all."""

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import aiohttp
import pytest
from node_harness import Node

from .stack import Stack, eventually, fresh_stack

SUBMISSION = {"item_id": "job-1", "payload_uri": "https://example.org/1"}


async def projected(stack: Stack, item_id: str, status: str) -> None:
    async def there() -> bool:
        page = await stack.get(f"/items?status={status}")
        return any(item["item_id"] == item_id for item in page["items"])

    await eventually(there, f"{item_id} as {status}")


async def test_a_submission_is_in_a_block_when_it_is_answered(api: Stack) -> None:
    status, body, _ = await api.request("POST", "/items", SUBMISSION)
    assert (status, body["finalized"]) == (201, True)
    assert len(body["tx_hash"]) == 64
    assert body["item"]["status"] == "submitted"
    assert body["item"]["kind"] == "job"


async def test_the_same_request_again_answers_as_the_first_time(api: Stack) -> None:
    first = await api.request("POST", "/items", SUBMISSION)
    again = await api.request("POST", "/items", SUBMISSION)
    assert first[:2] == again[:2]
    await projected(api, "job-1", "submitted")
    api.end("api", signal.SIGTERM)
    api.start("api")
    await api.ready()
    assert (await api.request("POST", "/items", SUBMISSION))[:2] == first[:2]


@pytest.mark.parametrize(
    "change", [{"payload_uri": "other"}, {"kind": "other"}, {"metadata_ref": "other"}]
)
async def test_another_request_with_the_same_id_is_a_conflict(
    api: Stack, change: dict[str, str]
) -> None:
    await api.request("POST", "/items", SUBMISSION)
    status, body, headers = await api.request("POST", "/items", SUBMISSION | change)
    assert status == body["status"] == 409
    assert "job-1" in body["detail"]
    assert headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"item_id": "a.b"}, "item_id"),
        ({"item_id": "a" * 129}, "item_id"),
        ({"item_id": "a\n"}, "item_id"),
        ({"payload_uri": ""}, "payload_uri"),
        ({"payload_uri": "\x00"}, "payload_uri"),
        ({"payload_uri": "é"}, "payload_uri"),
        ({"payload_uri": 5}, "payload_uri"),
        ({"kind": "a b"}, "kind"),
        ({"metadata_ref": "x" * 1025}, "metadata_ref"),
        ({"priority": 1}, "priority"),
    ],
)
async def test_a_bad_field_is_named(
    api_of_module: Stack, change: dict[str, object], field: str
) -> None:
    status, body, _ = await api_of_module.request("POST", "/items", SUBMISSION | change)
    assert status == 422
    assert [error["field"] for error in body["errors"]] == [field]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/items/none", 404),
        ("GET", "/items/none/activity", 404),
        ("POST", "/items/none/cancel", 404),
        ("GET", "/nowhere", 404),
        ("DELETE", "/items", 405),
        ("GET", "/items?status=lost", 422),
        ("GET", "/items?limit=0", 422),
        ("GET", "/items/a.b", 422),
    ],
)
async def test_refusals_are_problem_details(
    api_of_module: Stack, method: str, path: str, status: int
) -> None:
    got, body, headers = await api_of_module.request(method, path)
    assert got == body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert headers["Content-Type"] == "application/problem+json"


async def test_a_body_of_more_than_64_kib_is_refused(api_of_module: Stack) -> None:
    body = SUBMISSION | {"metadata_ref": "x" * 70_000}
    status, problem, _ = await api_of_module.request("POST", "/items", body)
    assert (status, problem["status"]) == (413, 413)

    async def pieces() -> object:
        for _ in range(70):
            yield b"x" * 1024

    url = f"{api_of_module.url}/items"
    async with aiohttp.ClientSession() as session, session.post(url, data=pieces()) as response:
        assert response.status == 413


async def test_a_body_that_is_no_json_is_refused(api_of_module: Stack) -> None:
    url = f"{api_of_module.url}/items"
    async with aiohttp.ClientSession() as session, session.post(url, data=b"{") as response:
        assert response.status == 422


async def test_an_item_is_cancelled_once_and_says_why(api: Stack) -> None:
    await api.request("POST", "/items", SUBMISSION)
    status, body, _ = await api.request("POST", "/items/job-1/cancel", {"reason": "not needed"})
    assert (status, body["finalized"]) == (200, True)
    assert body["item"]["status"] == "cancelled"
    assert body["item"]["failure_reason"] == "not needed"
    status, body, _ = await api.request("POST", "/items/job-1/cancel")
    assert status == 409
    assert "cancelled" in body["detail"]
    await projected(api, "job-1", "cancelled")
    view = await api.get("/items/job-1")
    assert view["item"] == view["projection"]
    assert [event["event"] for event in view["recent_activity"]] == [
        "ItemCancelled",
        "ItemSubmitted",
    ]


async def test_the_authoritative_read_does_not_need_the_projector(stack: Stack) -> None:
    stack.start("api")

    async def answers() -> bool:
        try:
            return (await stack.request("GET", "/health"))[0] == 200
        except aiohttp.ClientError:
            return False

    await eventually(answers, "the API")
    assert (await stack.request("POST", "/items", SUBMISSION))[0] == 201
    view = await stack.get("/items/job-1")
    assert (view["item"]["status"], view["projection"]) == ("submitted", None)
    status, _, headers = await stack.request("GET", "/items")
    assert (status, headers["Retry-After"]) == (503, "2")
    health = await stack.get("/health")
    assert health["status"] == "degraded"
    assert "projection" in " ".join(health["problems"])


async def test_health_and_projection_tell_the_heights(api: Stack) -> None:
    await api.request("POST", "/items", SUBMISSION)
    await projected(api, "job-1", "submitted")
    health = await api.get("/health")
    assert health["status"] == "ok"
    assert health["height"] >= health["indexed_height"] >= 1

    async def level() -> bool:
        projection = await api.get("/projection/health")
        return projection["healthy"] is True and projection["lag"] == 0

    await eventually(level, "a level projection")


async def test_a_chain_that_is_down_is_503_with_retry_after(
    make_node: Callable[..., AbstractContextManager[Node]], tmp_path: Path
) -> None:
    with make_node("down-1") as node:
        async with fresh_stack(node, tmp_path) as stack:
            stack.start("projector", "api")
            await stack.ready()
            await stack.request("POST", "/items", SUBMISSION)
            await projected(stack, "job-1", "submitted")
            node.kill("cometbft")
            for method, path, body in (
                ("POST", "/items", SUBMISSION | {"item_id": "job-2"}),
                ("GET", "/items/job-1", None),
                ("POST", "/items/job-1/cancel", {}),
            ):
                status, problem, headers = await stack.request(method, path, body)
                assert (status, headers["Retry-After"]) == (503, "2")
                assert "node" in problem["detail"]
            assert (await stack.get("/items"))["count"] == 1
            assert (await stack.get("/health"))["status"] == "degraded"
            node.start("abci", "cometbft")

            async def takes_items() -> bool:
                body = SUBMISSION | {"item_id": "job-3"}
                return (await stack.request("POST", "/items", body))[0] == 201

            await eventually(takes_items, "a submission after the node came back")
