"""Text fields: what they may hold, and how an error says so."""

import re
from typing import Any

import pytest

from .conftest import Open


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"item_id": "a.b"}, "expected 1 to 128 ASCII letters, digits, _ or -"),
        ({"item_id": "a\n"}, "expected 1 to 128 ASCII letters, digits, _ or -"),
        ({"item_id": "a" * 129}, "expected 1 to 128 ASCII letters, digits, _ or -"),
        ({"payload_uri": 5}, "expected 1 to 1024 printable ASCII characters"),
        ({"metadata_ref": "é"}, "expected 0 to 1024 printable ASCII characters"),
    ],
)
async def test_text_error_says_what_is_expected(
    api: Open, change: dict[str, Any], expected: str
) -> None:
    answer = await api().post("/items", json={"item_id": "a", "payload_uri": "x"} | change)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": next(iter(change)), "message": expected}]
    answer = await api().get("/items?id_prefix=a.b")
    message = answer.json()["errors"][0]["message"]
    assert message == "expected 1 to 128 ASCII letters, digits, _ or -"


async def test_text_patterns_follow_javascript(api: Open) -> None:
    described = (await api().get("/openapi.json")).text
    patterns = set(re.findall(r'"pattern":"([^"]*)"', described))
    assert patterns >= {"^[A-Za-z0-9_-]{1,128}$"}
    assert [pattern for pattern in patterns if not pattern.endswith("$")] == []
