"""The API's answers, the bad ones first of all."""

import asyncio
import hashlib
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import aiohttp
import pytest
from node_harness import Node
from processes import wait_until

from .stack import Stack, eventually, fresh_stack

SUBMISSION = {"item_id": "job-1", "payload_uri": "https://example.org/1"}


@pytest.fixture
def new(request: pytest.FixtureRequest) -> dict[str, str]:
    """A submission that no other test makes."""
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()
    return SUBMISSION | {"item_id": digest[:12]}


async def projected(stack: Stack, item_id: str, status: str) -> None:
    async def there() -> bool:
        page = await stack.get(f"/items?status={status}")
        return any(item["item_id"] == item_id for item in page["items"])

    await eventually(there, f"{item_id} as {status}")


async def test_a_submission_is_in_a_block_when_it_is_answered(
    api: Stack, new: dict[str, str]
) -> None:
    status, body, _ = await api.request("POST", "/items", new)
    assert (status, body["finalized"]) == (201, True)
    assert len(body["tx_hash"]) == 64
    assert body["item"]["status"] == "submitted"
    assert body["item"]["kind"] == "job"


async def test_the_same_request_again_answers_as_the_first_time(
    api: Stack, new: dict[str, str]
) -> None:
    first = await api.request("POST", "/items", new)
    again = await api.request("POST", "/items", new)
    assert first[:2] == again[:2]
    await projected(api, new["item_id"], "submitted")
    api.end("api", signal.SIGTERM)
    api.start("api")
    await api.ready()
    assert (await api.request("POST", "/items", new))[:2] == first[:2]


async def answering(stack: Stack) -> None:
    """Wait until the API answers, whatever it says of its parts."""

    async def answers() -> bool:
        try:
            return (await stack.request("GET", "/health"))[0] == 200
        except aiohttp.ClientError:
            return False

    await eventually(answers, "the API")


async def test_the_same_request_again_needs_no_projection(stack: Stack) -> None:
    stack.start("api")
    await answering(stack)
    first = await stack.request("POST", "/items", SUBMISSION)
    assert first[0] == 201
    stack.end("api", signal.SIGTERM)
    stack.start("api")
    await answering(stack)
    assert (await stack.request("POST", "/items", SUBMISSION))[:2] == first[:2]


async def test_where_nothing_tells_the_first_answer_there_is_no_other(
    make_node: Callable[..., AbstractContextManager[Node]], tmp_path: Path
) -> None:
    with make_node("index-1") as node:
        async with fresh_stack(node, tmp_path) as stack:
            stack.start("api")
            await answering(stack)
            first = await stack.request("POST", "/items", SUBMISSION)
            stack.end("api", signal.SIGTERM)
            node.kill("postgres")
            stack.start("api")
            await answering(stack)
            status, problem, headers = await stack.request("POST", "/items", SUBMISSION)
            assert (status, headers["Retry-After"]) == (503, "2"), problem
            assert "index" in problem["detail"]
            node.start("postgres")

            async def as_the_first_time() -> bool:
                return (await stack.request("POST", "/items", SUBMISSION))[:2] == first[:2]

            await eventually(as_the_first_time, "the first answer")


async def test_an_api_without_a_wallet_reads_what_others_submit(stack: Stack) -> None:
    stack.start("projector", "api")
    await stack.ready()
    assert (await stack.request("POST", "/items", SUBMISSION))[0] == 201
    await projected(stack, "job-1", "submitted")
    stack.end("api", signal.SIGTERM)
    del stack.keys["api"]
    stack.start("api --read-only")
    await stack.ready()
    assert (await stack.get("/health"))["requester"] is None
    assert (await stack.request("GET", "/health/ready"))[0] == 200
    assert (await stack.get("/items/job-1"))["item"]["status"] == "submitted"
    for path, body in (("/items", SUBMISSION), ("/items/job-1/cancel", {})):
        status, problem, _ = await stack.request("POST", path, body)
        assert (status, "no wallet" in problem["detail"]) == (403, True)


async def test_a_transaction_that_the_chain_refuses_is_502(node: Node, tmp_path: Path) -> None:
    stack = Stack(node.url, node.chain_id, "con_not_there", tmp_path)
    try:
        stack.start("api")
        await answering(stack)
        status, problem, _ = await stack.request("POST", "/items", SUBMISSION)
    finally:
        stack.end_all()
    assert status == 502
    assert "transaction" in problem["detail"]


async def test_another_request_with_the_same_id_is_a_conflict(
    api: Stack, new: dict[str, str]
) -> None:
    await api.request("POST", "/items", new)
    for change in ({"payload_uri": "other"}, {"kind": "other"}, {"metadata_ref": "other"}):
        status, body, headers = await api.request("POST", "/items", new | change)
        assert status == body["status"] == 409
        assert new["item_id"] in body["detail"]
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
        ({"urgency": 1}, "urgency"),
    ],
)
async def test_a_bad_field_is_named(api: Stack, change: dict[str, object], field: str) -> None:
    status, body, _ = await api.request("POST", "/items", SUBMISSION | change)
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
    api: Stack, method: str, path: str, status: int
) -> None:
    got, body, headers = await api.request(method, path)
    assert got == body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert headers["Content-Type"] == "application/problem+json"


async def test_a_body_of_more_than_a_mebibyte_is_refused(api: Stack) -> None:
    body = SUBMISSION | {"metadata_ref": "x" * 1_100_000}
    status, problem, _ = await api.request("POST", "/items", body)
    assert (status, problem["status"]) == (413, 413)

    async def pieces() -> object:
        for _ in range(70):
            yield b"x" * 16_384

    url, headers = f"{api.url}/items", {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=pieces(), headers=headers) as response,
    ):
        assert response.status == 413


async def test_a_body_that_is_no_json_is_refused(api: Stack) -> None:
    url = f"{api.url}/items"
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=b"{", headers=headers) as response,
    ):
        assert response.status == 422


async def test_an_item_is_cancelled_once_and_says_why(api: Stack, new: dict[str, str]) -> None:
    path = f"/items/{new['item_id']}"
    await api.request("POST", "/items", new)
    status, body, _ = await api.request("POST", f"{path}/cancel", {"reason": "not needed"})
    assert (status, body["finalized"]) == (200, True)
    assert body["item"]["status"] == "cancelled"
    assert body["item"]["failure_reason"] == "not needed"
    status, body, _ = await api.request("POST", f"{path}/cancel")
    assert status == 409
    assert "cancelled" in body["detail"]

    async def is_projected() -> bool:
        view = await api.get(path)
        steps = [event["event_name"] for event in view["recent_activity"]]
        last = view["recent_activity"][0]["event_id"]
        projected = view["item"] | {"last_event_id": last, "blocked_by": []}
        return steps == ["ItemCancelled", "ItemSubmitted"] and view["projection"] == projected

    await eventually(is_projected, "both events and the record in the projection")


async def test_the_authoritative_read_does_not_need_the_projector(stack: Stack) -> None:
    stack.start("api")
    await answering(stack)
    assert (await stack.request("POST", "/items", SUBMISSION))[0] == 201
    view = await stack.get("/items/job-1")
    assert (view["item"]["status"], view["projection"]) == ("submitted", None)
    status, _, headers = await stack.request("GET", "/items")
    assert (status, headers["Retry-After"]) == (503, "2")
    health = await stack.get("/health")
    assert health["status"] == "degraded"
    assert "projection" in " ".join(health["problems"])


async def test_health_and_projection_tell_the_heights(api: Stack, new: dict[str, str]) -> None:
    await api.request("POST", "/items", new)
    await projected(api, new["item_id"], "submitted")
    health = await api.get("/health")
    assert health["status"] == "ok"
    assert health["height"] >= health["indexed_height"] >= 1

    async def level() -> bool:
        projection = await api.get("/projection/health")
        return projection["healthy"] is True and projection["lag"] == 0

    await eventually(level, "a level projection")


def answers(node: Node) -> bool:
    try:
        return node.height() > 0
    except OSError:
        return False


async def test_a_chain_that_is_down_is_503_with_retry_after(
    make_node: Callable[..., AbstractContextManager[Node]], tmp_path: Path
) -> None:
    with make_node("down-1") as node:
        async with fresh_stack(node, tmp_path) as stack:
            stack.start("projector", "api")
            await stack.ready()
            await stack.request("POST", "/items", SUBMISSION)
            await projected(stack, "job-1", "submitted")
            waits = "/items/job-1?wait=completed&timeout="
            waiting = [asyncio.create_task(stack.request("GET", waits + s)) for s in ("5", "120")]
            submitting = asyncio.create_task(
                stack.request(
                    "POST", "/items?wait=completed&timeout=5", SUBMISSION | {"item_id": "job-0"}
                )
            )
            await projected(stack, "job-0", "submitted")
            node.kill("abci")
            wait_until(lambda: not answers(node), 30, "a node that is gone")
            # Whoever waits is told after the time that it gave; what is in a block stays accepted.
            status, problem, headers = await waiting[0]
            assert (status, headers["Retry-After"]) == (503, "2"), problem
            status, accepted, _ = await submitting
            assert (status, accepted["item"]["status"]) == (201, "submitted")
            for method, path, body in (
                ("POST", "/items", SUBMISSION | {"item_id": "job-2"}),
                ("GET", "/items/job-1", None),
                ("GET", waits + "1", None),
                ("POST", "/items/job-1/cancel", {}),
            ):
                status, problem, headers = await stack.request(method, path, body)
                assert status == 503, problem
                assert headers["Retry-After"] == "2"
                assert "node" in problem["detail"]
            assert (await stack.get("/items"))["count"] == 2
            assert (await stack.get("/health"))["status"] == "degraded"
            node.start("abci", "cometbft")

            async def takes_items() -> bool:
                body = SUBMISSION | {"item_id": "job-3"}
                return (await stack.request("POST", "/items", body))[0] == 201

            await eventually(takes_items, "a submission after the node came back")
            # Whoever still waits is told what happens now.
            assert (await stack.request("POST", "/items/job-1/cancel", {}))[0] == 200
            status, view, _ = await waiting[1]
            assert (status, view["item"]["status"]) == (200, "cancelled")
