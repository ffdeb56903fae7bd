"""Pages of other sites, on a machine where the API asks for no token."""

import pathlib

import pytest

from workflow_backend.api import tokens
from workflow_backend.errors import SettingError
from workflow_backend.settings import Settings

from .conftest import Open

SUMMARY = "/projection/summary"
SHOP = "https://shop.example.org"
OWN = "http://localhost:8000"


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "LOCALHOST:8000", "127.0.0.1:8000", "127.8.8.8", "[::1]:8000"],
)
async def test_api_answers_by_loopback_names(api: Open, host: str) -> None:
    assert (await api().get(SUMMARY, headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.org",
        "evil.example.org:8000",
        "localhost.evil.example.org",
        "127.0.0.1.evil.example.org",
        "192.0.2.1",
        "[::1",
        "localhost:8000@evil.example.org",
    ],
)
async def test_api_answers_by_no_other_name(api: Open, host: str) -> None:
    client = api()
    for path in (SUMMARY, "/health", "/docs", "/openapi.json"):
        refused = await client.get(path, headers={"Host": host})
        assert refused.status_code == 421, path
        assert "only as localhost" in refused.json()["detail"]


async def test_api_answers_by_no_second_name(api: Open) -> None:
    for names in (("localhost", "evil.example.org"), ("evil.example.org", "localhost")):
        refused = await api().get(SUMMARY, headers=[("Host", name) for name in names])
        assert refused.status_code == 421


async def test_api_answers_by_a_name_that_was_configured(api: Open) -> None:
    client = api(XIAN_WORKFLOW_API_HOSTS="Workflow.example.org, workflow.test")
    for host in ("workflow.example.org", "workflow.test:443", "localhost"):
        assert (await client.get(SUMMARY, headers={"Host": host})).status_code == 200
    assert (await client.get(SUMMARY, headers={"Host": "example.org"})).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://localhost:3000"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": OWN, "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_page_of_another_site_changes_nothing(api: Open, headers: dict[str, str]) -> None:
    client = api()
    for path in ("/items/a/cancel", "/items/a/retry", "/items/a/stop", "/items", "/items/batch"):
        refused = await client.post(path, headers={"Host": "localhost:8000", **headers})
        assert refused.status_code == 403, path
        assert "another site" in refused.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": OWN, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": SHOP, "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_programs_and_own_pages_may_change(api: Open, headers: dict[str, str]) -> None:
    client = api(XIAN_WORKFLOW_API_ORIGINS=SHOP)
    answer = await client.post("/items/a/cancel", headers={"Host": "localhost:8000", **headers})
    assert answer.status_code == 503  # there is no node behind it


async def test_api_with_tokens_goes_by_them_alone(api: Open, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "tokens.json"
    shown = {"Authorization": f"Bearer {tokens.add(file, 'shop', ['read', 'cancel'])}"}
    client = api(tokens=file)
    asked = {"Host": "workflow.example.org", "Origin": SHOP, **shown}
    assert (await client.get(SUMMARY, headers=asked)).status_code == 200
    assert (await client.post("/items/a/cancel", headers=asked)).status_code == 503


@pytest.mark.parametrize("value", ["https://a.example.org", "a:80", "*", "a b"])
def test_settings_name_a_wrong_host(value: str) -> None:
    with pytest.raises(SettingError, match="XIAN_WORKFLOW_API_HOSTS"):
        Settings.load({"XIAN_CHAIN_ID": "chain-1", "XIAN_WORKFLOW_API_HOSTS": value})
