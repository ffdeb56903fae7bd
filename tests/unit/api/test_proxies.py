"""The API behind a proxy: whose word is believed, and the prefix that the proxy takes away."""

import json
from typing import Any

import pytest

from workflow_backend.errors import SettingError
from workflow_backend.settings import Settings

from .conftest import fake_backend
from .serving import Served, answer, serving


def _open(rate: float = 1000.0, **environment: str) -> Any:
    settings = Settings.load({"XIAN_CHAIN_ID": "chain-1", **environment})
    return serving(fake_backend(settings, rate=rate))


async def _get(served: Served, path: str, *headers: str) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await served.connect()
    writer.write(
        "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()
    )
    try:
        return await answer(reader)
    finally:
        writer.close()


async def _statuses(served: Served) -> list[int]:
    asked = (f"X-Forwarded-For: 192.0.2.{last}" for last in (1, 2))
    return [(await _get(served, "/projection/summary", header))[0] for header in asked]


async def test_forwarded_address_is_believed_of_no_one_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # the server library's own setting
    async with _open(rate=1.0) as served:
        assert await _statuses(served) == [200, 429]


async def test_forwarded_address_is_believed_of_a_proxy_that_was_named() -> None:
    async with _open(rate=1.0, XIAN_WORKFLOW_API_PROXIES="10.0.0.0/8") as served:
        assert await _statuses(served) == [200, 429]
    async with _open(rate=1.0, XIAN_WORKFLOW_API_PROXIES="10.0.0.0/8, 127.0.0.1") as served:
        assert await _statuses(served) == [200, 200]


async def test_prefix_of_a_proxy_is_in_redirects_and_description() -> None:
    async with _open(XIAN_WORKFLOW_API_PREFIX="/workflow/") as served:
        status, headers, _ = await _get(served, "/health/live/")
        assert (status, headers["location"]) == (307, "http://localhost/workflow/health/live")
        page = (await _get(served, "/docs"))[2].decode()
        assert "'/workflow/openapi.json'" in page
        assert 'src="/workflow/static' in page
        described = json.loads((await _get(served, "/openapi.json"))[2])
        assert [server["url"] for server in described["servers"]] == ["/workflow"]
        assert (await _get(served, "/health/live"))[0] == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROXIES", "localhost"),
        ("PROXIES", "10.0.0.1/8"),
        ("PREFIX", "workflow"),
        ("PREFIX", "/a b"),
        ("PREFIX", "//evil"),
    ],
)
def test_settings_name_a_wrong_proxy_or_prefix(name: str, value: str) -> None:
    variable = f"XIAN_WORKFLOW_API_{name}"
    with pytest.raises(SettingError, match=variable):
        Settings.load({"XIAN_CHAIN_ID": "chain-1", variable: value})
