"""The application: cross-origin requests and the page of its documentation."""

import re

from .conftest import Open

SHOP = "https://shop.example.org"


async def test_cors_is_off_by_default(api: Open) -> None:
    client = api()
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    for answer in (
        await client.options("/items", headers=asked),
        await client.get("/projection/summary", headers={"Origin": SHOP}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_cors_admits_configured_origins(api: Open) -> None:
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


async def test_docs_page_needs_no_other_site(api: Open) -> None:
    client = api()
    page = await client.get("/docs")
    parts = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert {part.rpartition(".")[2] for part in parts} == {"js", "css", "png"}
    for part in parts:
        assert part.startswith("/"), part
        assert (await client.get(part)).status_code == 200, part
    assert "'/openapi.json'" in page.text
    assert (await client.get("/redoc")).status_code == 404
