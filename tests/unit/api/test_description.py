"""The API's description as the tools read it that people use."""

import json
import re
from pathlib import Path

import pytest
from npm_harness import npm_folder, run

from workflow_backend.api.app import create_app
from workflow_backend.settings import Settings

from .conftest import fake_backend

VERBS = r"(check|get|list|stream|submit|cancel|retry)"


@pytest.fixture
def description(tmp_path: Path) -> Path:
    app = create_app(fake_backend(Settings.load({"XIAN_CHAIN_ID": "chain-1"})))
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(app.openapi()))
    return path


def test_operation_ids_are_verbs(description: Path) -> None:
    paths = json.loads(description.read_text())["paths"]
    ids = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert len(ids) == len(set(ids))
    assert [each for each in ids if not re.fullmatch(rf"{VERBS}_[a-z]+(_[a-z]+)*", each)] == []


def test_every_operation_declares_a_request_that_can_t_be_read(description: Path) -> None:
    paths = json.loads(description.read_text())["paths"]
    for path, methods in paths.items():
        for operation in methods.values():
            assert {"400", "422", "500"} <= operation["responses"].keys(), path


def test_times_are_described_as_such(description: Path) -> None:
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


def test_field_that_may_be_left_out_has_no_default(description: Path) -> None:
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
    said = run(npm_folder(), "redocly", "lint", description, "--format", "json")
    report = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert report["problems"] == []
