"""The API without a chain: limits, origins, and what it says of itself."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from workflow_backend.api import limits, problems, tokens
from workflow_backend.api.app import create_app
from workflow_backend.api.limits import RateLimit
from workflow_backend.chain.node import Node
from workflow_backend.chain.rpc import Rpc
from workflow_backend.settings import Settings
from workflow_backend.store.sqlite import SqliteStore

from .conftest import Open, fake_backend

SHOP = "https://shop.example.org"
SUBMISSION = {"item_id": "a", "payload_uri": "uri:a"}


async def test_who_asks_too_often_is_told_when_to_come_again(
    api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: now))
    client = api(rate=3.0)
    answers = [await client.get("/projection/summary") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].headers["Retry-After"] == "1"
    assert answers[3].headers["Content-Type"] == "application/problem+json"
    now += 0.34
    assert (await client.get("/projection/summary")).status_code == 200
    assert (await client.get("/projection/summary")).status_code == 429
    assert (await client.get("/health/live")).status_code == 200  # a load balancer is no client


async def test_who_shows_no_token_is_limited_by_its_address(
    api: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = 100.0
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: now))
    file = tmp_path / "tokens.json"
    reader = {"Authorization": f"Bearer {tokens.add(file, 'reader', ['read'])}"}
    client = api(rate=3.0, tokens=file)
    asked: list[dict[str, str]] = [{}, {"Authorization": "Bearer wrong"}, {}, {}]
    answers = [await client.get("/projection/summary", headers=headers) for headers in asked]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert answers[3].headers["Retry-After"] == "1"
    # Who has a token is asked for nothing of it, and its refusals count as its requests do.
    assert (await client.get("/projection/summary", headers=reader)).status_code == 200
    refused = [await client.post("/items/a/cancel", headers=reader) for _ in range(3)]
    assert [answer.status_code for answer in refused] == [403, 403, 429]
    now += 0.34
    assert (await client.get("/projection/summary")).status_code == 401


def test_addresses_that_ask_no_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: now))
    rate = RateLimit(2.0)
    for number in range(1_000):
        assert rate.take(f"10.0.0.{number}") == 0.0
    now += 0.5
    assert (rate.take("late"), rate.take("late")) == (0.0, 0.0)
    now += 0.6
    assert rate.take("late") == 0.0
    assert rate.take("late") > 0.0  # it had not filled up again
    assert set(rate._buckets) == {"late"}


def test_less_than_one_request_a_second_is_a_rate() -> None:
    rate = RateLimit(0.1)
    assert rate.take("a") == 0.0
    assert 9.0 < rate.take("a") <= 10.0


async def test_an_api_without_a_wallet_refuses_to_write(api: Open) -> None:
    client = api()
    refused = await client.post("/items", json=SUBMISSION)
    assert (refused.status_code, "no wallet" in refused.json()["detail"]) == (403, True)
    refused = await client.post("/items/batch", json={"items": [SUBMISSION]})
    assert (refused.status_code, "no wallet" in refused.json()["detail"]) == (403, True)
    assert (await client.get("/projection/summary")).status_code == 200


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/items?stauts=failed", "no parameter of this route: is status meant?"),
        ("/health/live?x=1", "no parameter of this route, which takes none"),
        ("/items/a?wiat=completed", "no parameter of this route: is wait meant?"),
        ("/items?status=failed&status=completed", "given more than once: give one value"),
    ],
)
async def test_unknown_parameters_are_refused(api: Open, path: str, message: str) -> None:
    answer = await api().get(path)
    assert answer.status_code == 422
    assert [each["message"] for each in answer.json()["errors"]] == [message]


async def test_client_is_told_no_address_or_path(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is behind the API is its operator's affair, who finds it in the log."""
    settings = Settings.load({"XIAN_CHAIN_ID": "chain-1"})
    store = SqliteStore(tmp_path / "gone.sqlite3", "chain-1", "con_job_workflow")
    async with Rpc("http://127.0.0.1:1") as rpc:
        backend = fake_backend(settings, node=Node(rpc, "con_job_workflow"), store=store)
        transport = httpx.ASGITransport(create_app(backend))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            problems._logged.clear()
            answers = [
                await client.get(path)
                for path in ("/items", "/items/a", "/health", "/health/ready", "/projection/health")
            ]
    assert [answer.status_code for answer in answers] == [503, 503, 200, 503, 503]
    for answer in answers:
        assert "127.0.0.1" not in answer.text
        assert str(tmp_path) not in answer.text
    logged = [record.getMessage() for record in caplog.records]
    assert [sum(text in line for line in logged) for text in ("127.0.0.1:1", str(tmp_path))] == [
        1,
        1,
    ]


async def test_two_words_for_one_thing_are_refused(api: Open) -> None:
    for path in ("/activity/recent", "/items/a/activity"):
        answer = await api().get(f"{path}?status=failed&event=ItemClaimed")
        assert answer.status_code == 422
        assert "status and event" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/items", "/activity/recent", "/items/a/activity"])
@pytest.mark.parametrize(
    "time",
    [
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0000-01-01T00:00:00Z"),
        *("1e300", "0", "-1", "1764453338", "1764453338000", "yesterday"),
    ],
)
async def test_what_is_no_time_of_the_calendar_is_refused(api: Open, path: str, time: str) -> None:
    for name in ("created_from", "created_before", "updated_from", "updated_before"):
        if path == "/items" or name.startswith("created"):
            answer = await api().get(path, params={name: time})
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["field"] == name


async def test_every_list_takes_the_same_filters(api: Open) -> None:
    described = (await api().get("/openapi.json")).json()
    taken = {
        path: {entry["name"] for entry in described["paths"][path]["get"]["parameters"]}
        for path in ("/items", "/activity/recent", "/items/{item_id}/activity")
    }
    common = {"status", "kind", "requester", "worker", "client", "id_prefix", "limit", "cursor"}
    common |= {"created_from", "created_before"}
    assert taken == {
        "/items": common | {"updated_from", "updated_before"},
        "/activity/recent": common | {"event"},
        "/items/{item_id}/activity": common | {"event", "item_id"},
    }


def test_each_principal_has_its_own_rate() -> None:
    rate = RateLimit(1.0)
    assert rate.take("a") == 0.0
    assert 0.0 < rate.take("a") <= 1.0
    assert rate.take("b") == 0.0


async def test_no_page_of_another_origin_is_let_in(api: Open) -> None:
    client = api()
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    for answer in (
        await client.options("/items", headers=asked),
        await client.get("/projection/summary", headers={"Origin": SHOP}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_but_those_of_the_setting(api: Open) -> None:
    client = api(rate=1.0, XIAN_WORKFLOW_API_ORIGINS=f"{SHOP}, https://bank.example.org")
    asked = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "Authorization",
    }
    allowed = await client.options("/items", headers=asked)
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == SHOP
    for status in (200, 429):  # a refusal, too, can be read there
        answer = await client.get("/projection/summary", headers={"Origin": SHOP})
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (status, SHOP)
    other = await client.get("/health/live", headers={"Origin": "https://evil.example.org"})
    assert "Access-Control-Allow-Origin" not in other.headers


async def test_every_answer_is_described(api: Open) -> None:
    described = (await api().get("/openapi.json")).json()
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            told = set(operation["responses"])
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            if path.startswith("/health"):
                assert "200" in told
                continue
            assert {"401", "403", "429", "500"} <= told, where
            if method == "post":
                assert {"413", "422", "503"} <= told, where
            if "{item_id}" in path:
                assert {"404", "422"} <= told, where
            for status in told - {"200", "201", "202"}:
                assert set(operation["responses"][status]["content"]) == {
                    "application/problem+json"
                }, f"{where} {status}"
    for path in ("/items", "/items/{item_id}/cancel", "/items/{item_id}/retry"):
        pending = described["paths"][path]["post"]["responses"]["202"]
        assert pending["content"]["application/json"]["schema"]["$ref"].endswith("/Accepted")


async def test_a_body_that_is_no_json_is_no_fields_fault(api: Open) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await api().post("/items", content='{"item_id": "a",}', headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["detail"]) == (422, "not valid: body")
    (error,) = problem["errors"]
    assert error["field"] == ""
    assert re.fullmatch(r"no JSON: .+ at character \d+", error["message"])


async def test_the_page_of_the_description_needs_no_other_site(api: Open) -> None:
    client = api()
    page = await client.get("/docs")
    parts = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert {part.rpartition(".")[2] for part in parts} == {"js", "css", "png"}
    for part in parts:
        assert part.startswith("/"), part
        assert (await client.get(part)).status_code == 200, part
    assert "'/openapi.json'" in page.text
    assert (await client.get("/redoc")).status_code == 404


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"item_id": "a.b"}, "wanted 1 to 128 ASCII letters, digits, _ or -"),
        ({"item_id": "a\n"}, "wanted 1 to 128 ASCII letters, digits, _ or -"),
        ({"item_id": "a" * 129}, "wanted 1 to 128 ASCII letters, digits, _ or -"),
        ({"payload_uri": 5}, "wanted 1 to 1024 printable ASCII characters"),
        ({"metadata_ref": "é"}, "wanted 0 to 1024 printable ASCII characters"),
    ],
)
async def test_a_bad_field_is_told_what_it_may_be(
    api: Open, change: dict[str, Any], wanted: str
) -> None:
    answer = await api().post("/items", json={"item_id": "a", "payload_uri": "x"} | change)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": next(iter(change)), "message": wanted}]
    answer = await api().get("/items?id_prefix=a.b")
    assert answer.json()["errors"][0]["message"] == "wanted 1 to 128 ASCII letters, digits, _ or -"


async def test_patterns_are_described_as_javascript_reads_them(api: Open) -> None:
    described = (await api().get("/openapi.json")).text
    patterns = set(re.findall(r'"pattern":"([^"]*)"', described))
    assert patterns >= {"^[A-Za-z0-9_-]{1,128}$"}
    assert [pattern for pattern in patterns if not pattern.endswith("$")] == []
