"""HEAD, and what `Allow` tells."""

from types import SimpleNamespace
from typing import Any

from workflow_backend.settings import Settings
from workflow_backend.store.base import ProjectionProgress

from .conftest import Open, fake_backend
from .serving import answer, serving


class Store:
    async def progress(self) -> ProjectionProgress:
        return ProjectionProgress("chain-1", "con_job_workflow", 1, None)

    async def items(self, *_: Any) -> Any:
        return SimpleNamespace(rows=[], next_cursor=None)

    async def events_after(self, *_: Any) -> list[Any]:
        return []


async def test_head_is_answered_as_get_without_its_body() -> None:
    settings = Settings.load({"XIAN_CHAIN_ID": "chain-1"})
    async with serving(fake_backend(settings, store=Store())) as served:
        reader, writer = await served.connect()
        for path in ("/items", "/health/live", "/docs", "/openapi.json", "/stream"):
            heads = []
            for method in ("GET", "HEAD"):
                if (method, path) == ("GET", "/stream"):
                    continue  # it has no end
                writer.write(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                if method == "HEAD":
                    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                    heads.append([row for row in head.split("\r\n") if not row.startswith("date")])
                    assert head.startswith("http/1.1 200"), path
                else:
                    status, headers, _ = await answer(reader)
                    assert status == 200
                    length = headers["content-length"]
                    heads.append([f"content-length: {length}"])
            if len(heads) == 2:
                assert set(heads[0]) <= set(heads[1]), path
        writer.close()


async def test_allow_names_every_method_of_a_path(api: Open) -> None:
    client = api()
    for method, path, allowed in (
        ("DELETE", "/items", "GET, HEAD, POST"),
        ("PATCH", "/items/a", "GET, HEAD"),
        ("GET", "/items/a/cancel", "POST"),
        ("POST", "/health/live", "GET, HEAD"),
        ("POST", "/static-offline-docs/swagger-ui.css", "GET, HEAD"),
    ):
        refused = await client.request(method, path)
        assert (refused.status_code, refused.headers["Allow"]) == (405, allowed), path


async def test_head_is_no_operation_of_the_description(api: Open) -> None:
    paths = (await api().get("/openapi.json")).json()["paths"]
    assert [path for path, operations in paths.items() if "head" in operations] == []
