"""What a body may be."""

from collections.abc import AsyncIterator

import pytest

from .conftest import Open

BODY = b'{"item_id": "a", "payload_uri": "uri:a"}'


@pytest.mark.parametrize("path", ["/items", "/items/batch", "/items/a/cancel"])
@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_body_without_content_type_is_explained(
    api: Open, path: str, kind: str | None
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = await api().post(path, content=BODY, headers=headers)
    assert answer.status_code == 415
    assert "Content-Type: application/json" in answer.json()["detail"]


async def test_chunked_body_without_content_type_is_refused(api: Open) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield BODY

    assert (await api().post("/items", content=parts())).status_code == 415


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/merge+json"]
)
async def test_body_of_json_is_read(api: Open, kind: str) -> None:
    answer = await api().post("/items", content=BODY, headers={"Content-Type": kind})
    assert (answer.status_code, "no wallet" in answer.json()["detail"]) == (403, True)


async def test_body_may_be_left_out_with_its_type(api: Open) -> None:
    answer = await api().post("/items/a/retry")
    assert answer.status_code != 415


@pytest.mark.parametrize("size", ["1048577", "-1", "1_0", "many", "\xb2", "9" * 5000])
async def test_body_that_declares_too_much_is_refused(api: Open, size: str) -> None:
    kind, length = (
        (b"Content-Type", b"application/json"),
        (b"Content-Length", size.encode("latin-1")),
    )
    answer = await api().post("/items", content=BODY, headers=[kind, length])
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"item_id": "\xff"}', "the body is not JSON in UTF-8"),
        (b"[" * 100_000, "the body is nested too deeply"),
    ],
)
async def test_unreadable_body_is_explained(api: Open, body: bytes, detail: str) -> None:
    kind = {"Content-Type": "application/json"}
    answer = await api().post("/items", content=body, headers=kind)
    assert (answer.status_code, answer.json()["detail"]) == (400, detail)
