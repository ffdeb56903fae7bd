"""The server: how it stops, and what it believes of a proxy."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_backend.api import server
from workflow_backend.errors import SettingError
from workflow_backend.settings import Settings

from .conftest import fake_backend
from .serving import Served, answer, detail, serving


def _open(node: Any = None) -> Any:
    settings = Settings.load({"XIAN_CHAIN_ID": "chain-1"})
    return serving(fake_backend(settings, node=node))


async def test_stop_answers_interrupted_requests_with_503(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "GRACE_SECONDS", 0.2)
    asked = asyncio.Event()

    async def item(_: str) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with _open(SimpleNamespace(item=item)) as served:
        reader, writer = await served.connect()
        writer.write(b"GET /items/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asked.wait()
        await served.ended()
        status, headers, body = await answer(reader)
        assert (status, headers["retry-after"]) == (503, "2")
        assert "the API stops" in detail(body)
        writer.close()
    assert [row for row in caplog.records if row.exc_info] == []


async def test_stop_refuses_an_incomplete_request() -> None:
    async with _open() as served:
        reader, writer = await _half_posted(served)
        await asyncio.wait_for(served.ended(), server.GRACE_SECONDS / 2)
        assert (await answer(reader))[0] == 503
        writer.close()


async def _half_posted(served: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await served.connect()
    writer.write(
        b"POST /items HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n"
    )
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    return reader, writer


def _open_behind_proxy(rate: float = 1000.0, **environment: str) -> Any:
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


async def test_forwarded_address_is_ignored_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # the server library's own setting
    async with _open_behind_proxy(rate=1.0) as served:
        assert await _statuses(served) == [200, 429]


async def test_forwarded_address_of_a_configured_proxy_is_used() -> None:
    async with _open_behind_proxy(rate=1.0, XIAN_WORKFLOW_API_PROXIES="10.0.0.0/8") as served:
        assert await _statuses(served) == [200, 429]
    async with _open_behind_proxy(
        rate=1.0, XIAN_WORKFLOW_API_PROXIES="10.0.0.0/8, 127.0.0.1"
    ) as served:
        assert await _statuses(served) == [200, 200]


async def test_prefix_of_a_proxy_is_in_redirects_and_description() -> None:
    async with _open_behind_proxy(XIAN_WORKFLOW_API_PREFIX="/workflow/") as served:
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
