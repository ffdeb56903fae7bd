"""The API without a chain: limits, origins, and what it says of itself."""

import re
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from workflow_backend.api import limits
from workflow_backend.api.app import create_app
from workflow_backend.api.backend import Backend
from workflow_backend.api.limits import RateLimit
from workflow_backend.pulse import Pulse
from workflow_backend.settings import Settings

SHOP = "https://shop.example.org"


class Store:
    async def counts(self, _: Any = None) -> dict[str, int]:
        return dict.fromkeys(("submitted", "processing", "completed", "failed", "cancelled"), 0)


type Open = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def api() -> AsyncIterator[Open]:
    """Opens an application with these settings; nothing but the projection is behind it."""
    clients: list[httpx.AsyncClient] = []

    def start(rate: float = 1000.0, **environment: str) -> httpx.AsyncClient:
        settings = Settings.load({"XIAN_CHAIN_ID": "chain-1", **environment})
        nothing: Any = SimpleNamespace()
        backend = Backend(
            settings,
            nothing,
            nothing,
            nothing,
            Store(),  # type: ignore[arg-type]
            nothing,
            None,
            RateLimit(rate),
            (),
            Pulse("server"),
        )
        transport = httpx.ASGITransport(create_app(backend))
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://api"))
        return clients[-1]

    yield start
    for client in clients:
        await client.aclose()


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
