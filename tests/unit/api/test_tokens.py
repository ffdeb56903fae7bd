"""Tokens at the application's door."""

import json
import pathlib

import pytest

from workflow_backend.api import tokens

from .conftest import Open


async def test_api_answers_503_and_is_red_while_the_tokens_are_broken(
    api: Open, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "tokens.json"
    headers = {"Authorization": f"Bearer {tokens.add(file, 'reader', ['read'])}"}
    good = file.read_text()
    client = api(tokens=file)
    assert (await client.get("/projection/summary", headers=headers)).status_code == 200
    file.write_text("{")
    for path in ("/projection/summary", "/health/ready"):
        refused = await client.get(path, headers=headers)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        assert "can't read its tokens" in refused.json()["detail"]
        assert str(tmp_path) not in refused.text
    health = (await client.get("/health")).json()
    assert health["status"] == "degraded"
    assert "The API can't read its tokens just now." in health["problems"]
    assert len([row for row in caplog.records if str(file) in row.getMessage()]) == 1
    file.write_text(good)
    assert (await client.get("/projection/summary", headers=headers)).status_code == 200


async def test_tokens_are_known_by_a_hash_in_upper_case(api: Open, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "tokens.json"
    headers = {"Authorization": f"Bearer {tokens.add(file, 'reader', ['read'])}"}
    kept = json.loads(file.read_text())
    kept["tokens"]["reader"]["sha256"] = kept["tokens"]["reader"]["sha256"].upper()
    file.write_text(json.dumps(kept))
    answer = await api(tokens=file).get("/projection/summary", headers=headers)
    assert answer.status_code == 200
