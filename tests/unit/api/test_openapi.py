"""The API's description as the tools read it that people use."""

import json
import re
from pathlib import Path

import pytest
from npm_harness import npm_folder, run

from workflow_backend.api.app import create_app
from workflow_backend.settings import Settings

from .conftest import Open, fake_backend

VERBS = r"(check|get|list|stream|submit|cancel|retry|stop)"


@pytest.fixture
def description(tmp_path: Path) -> Path:
    app = create_app(fake_backend(Settings.load({"XIAN_CHAIN_ID": "chain-1"})))
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(app.openapi()))
    return path


def test_openapi_operation_ids_are_verbs(description: Path) -> None:
    paths = json.loads(description.read_text())["paths"]
    ids = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert len(ids) == len(set(ids))
    assert [each for each in ids if not re.fullmatch(rf"{VERBS}_[a-z]+(_[a-z]+)*", each)] == []


def test_openapi_declares_unreadable_requests(description: Path) -> None:
    paths = json.loads(description.read_text())["paths"]
    for path, methods in paths.items():
        for operation in methods.values():
            assert {"400", "422", "500"} <= operation["responses"].keys(), path


def test_openapi_marks_times(description: Path) -> None:
    """Generated clients then read them as points in time, not as texts."""
    schemas = json.loads(description.read_text())["components"]["schemas"]
    times = {
        f"{name}.{field}": [
            schema.get("format"),
            *(s.get("format") for s in schema.get("anyOf", [])),
        ]
        for name, described in schemas.items()
        for field, schema in described.get("properties", {}).items()
        if field.endswith("_at")
    }
    assert len(times) >= 7
    assert [field for field, formats in times.items() if "date-time" not in formats] == []


def test_openapi_optional_fields_have_no_default(description: Path) -> None:
    """openapi-typescript makes a field with a default one that has to be given."""
    document = json.loads(description.read_text())
    for name in ("Submission", "Cancellation"):
        properties = document["components"]["schemas"][name]["properties"]
        assert [field for field, schema in properties.items() if "default" in schema] == []


def test_spectral_finds_nothing(description: Path, tmp_path: Path) -> None:
    folder = npm_folder()
    rules = tmp_path / "spectral.yaml"
    rules.write_text('extends: ["spectral:oas"]\n')
    run(folder, "spectral", "lint", description, "--ruleset", rules, "--fail-severity", "hint")


def test_redocly_finds_nothing(description: Path) -> None:
    output = run(npm_folder(), "redocly", "lint", description, "--format", "json")
    report = json.loads(output[output.index("{") : output.rindex("}") + 1])
    assert report["problems"] == []


async def test_openapi_declares_every_answer(api: Open) -> None:
    described = (await api().get("/openapi.json")).json()
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            statuses = set(operation["responses"])
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            if path.startswith("/health"):
                assert "200" in statuses
                continue
            assert {"401", "403", "429", "500"} <= statuses, where
            if method == "post":
                assert {"413", "422", "503"} <= statuses, where
            if "{item_id}" in path:
                assert {"404", "422"} <= statuses, where
            for status in statuses - {"200", "201", "202"}:
                assert set(operation["responses"][status]["content"]) == {
                    "application/problem+json"
                }, f"{where} {status}"
    for path in ("/items", "/items/{item_id}/cancel", "/items/{item_id}/retry"):
        pending = described["paths"][path]["post"]["responses"]["202"]
        assert pending["content"]["application/json"]["schema"]["$ref"].endswith("/Accepted")
